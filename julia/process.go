package julia

// This file runs a Julia process that reports on its work, as the front worker does.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"chainbuild/parallel"
)

// An Event is what a worker says on file descriptor 3: a JSON object on a line of its own.
type Event struct {
	// Kind is the object's field "event".
	Kind string
	text []byte
}

// Decode fills the value that into points to from the object, as json.Unmarshal does.
func (e Event) Decode(into any) error {
	if err := json.Unmarshal(e.text, into); err != nil {
		return fmt.Errorf("the event %.200q of a worker is not as agreed: %w", e.text, err)
	}
	return nil
}

// Start starts this Julia with the given arguments; name is what errors call it. Output gets a copy of all that it
// prints, unless nil. Handle is called with each event, from one goroutine, but for the event {"event":"error",
// "message":"…","detail":"…"}, by which a worker gives up: Wait then returns an error with that text. An error of handle stops the
// process too. Files are open in it from descriptor 4 on. See parallel.StartProcess for the rest.
func (in *Installation) Start(ctx context.Context, name string, args []string, output io.Writer, handle func(Event) error, files ...*os.File) (*parallel.Process, error) {
	return parallel.StartProcess(ctx, name, in.Command(ctx, args...), parallel.ProcessOptions{
		Output: output,
		Files:  files,
		Event: func(line []byte) error {
			var said struct{ Event, Message, Detail string }
			if err := json.Unmarshal(line, &said); err != nil || said.Event == "" {
				return fmt.Errorf("%s said %.200q, which is no event: its files may be of another chainbuild", name, line)
			}
			if said.Event == "error" {
				return &WorkerError{Worker: name, Message: said.Message, Detail: said.Detail}
			}
			return handle(Event{Kind: said.Event, text: line})
		},
	})
}

// A WorkerError is what a worker said before it gave up: a line, and perhaps more, such as the whole text of a package's error.
type WorkerError struct{ Worker, Message, Detail string }

func (e *WorkerError) Error() string { return e.Message }

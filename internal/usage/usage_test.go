package usage

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestError(t *testing.T) {
	cause := fs.ErrNotExist
	for _, err := range []error{Errorf("the base cannot be read: %w", cause), Wrap(cause), fmt.Errorf("the build: %w", Wrap(cause))} {
		var refused *Error
		if !errors.As(err, &refused) || !errors.Is(err, cause) {
			t.Errorf("%v is not a refusal because of %v", err, cause)
		}
	}
	if Wrap(nil) != nil {
		t.Error("no error becomes one")
	}
	if got := Errorf("%d jobs", 0).Error(); got != "0 jobs" {
		t.Errorf("the text is %q", got)
	}
}

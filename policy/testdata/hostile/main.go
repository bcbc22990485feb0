// Hostile is a policy that does what the first statement's function is called.
package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"chainbuild/policy/sdk"
)

var kept [][]byte

func decide(batch *sdk.StatementBatch) []sdk.Answer {
	answers := make([]sdk.Answer, len(batch.Statements))
	for i := range answers {
		answers[i] = sdk.Drop(do(batch.Statements[0].Function))
	}
	return answers
}

func do(what string) string {
	switch what {
	case "eat":
		for {
			kept = append(kept, make([]byte, 1<<20))
		}
	case "panic":
		panic("it is\nas it is")
	case "exit":
		os.Exit(7)
	case "count":
		kept = append(kept, nil)
		return fmt.Sprint(len(kept))
	case "look":
		var seen []string
		note := func(what string, err error) {
			if err == nil {
				seen = append(seen, what)
			}
		}
		_, err := os.ReadFile("/etc/passwd")
		note("a file", err)
		_, err = os.ReadDir(".")
		note("a folder", err)
		note("what it wrote", os.WriteFile("x", nil, 0o600))
		connection, err := os.OpenFile("/dev/tcp/127.0.0.1/80", os.O_RDWR, 0)
		note("a network", err)
		connection.Close()
		if len(os.Environ()) > 0 || len(os.Args) > 1 {
			note("an environment", nil)
		}
		began := time.Now()
		time.Sleep(time.Hour) // nobody waits
		return fmt.Sprintf("saw %q at %v, %x", strings.Join(seen, ", "), began.UTC().Format(time.DateOnly), rand.Uint32())
	}
	return "nothing"
}

func init() { sdk.Statements(decide) }

func main() {}

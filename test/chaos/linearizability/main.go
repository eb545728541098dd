// Command linearizability reads a recorded history of the policy API from its standard input, an operation a line, and says whether some order
// of the operations explains all answers: each takes effect at one moment between its request and its answer. An operation without an answer
// takes effect at some moment after its request, or never.
//
// It prints `linearizable`, `not linearizable: KEY…` (exit code 1), or `undecided: KEY…` when that took too long (exit code 3).
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

const longest = 60 * time.Second

// operation is a line of the history. Values are unique, and 0 is a policy that isn't there.
type operation struct {
	Client int    `json:"client"`
	Key    string `json:"key"`
	// put, get or delete.
	Op string `json:"op"`
	// What a put writes.
	Value int `json:"value"`
	// The condition of a put or a delete: any, at (If-Match of the version with the value `at`) or none (If-None-Match: *).
	If string `json:"if"`
	At int    `json:"at"`
	// done, refused (412), absent (404) or unknown.
	Outcome string `json:"outcome"`
	// What a get was answered.
	Got int `json:"got"`
	// Nanoseconds.
	Call   int64 `json:"call"`
	Return int64 `json:"return"`
}

func holds(one operation, value int) bool {
	switch one.If {
	case "at":
		return value != 0 && value == one.At
	case "none":
		return value == 0
	default:
		return true
	}
}

// step is the policy API for one policy: whether it may answer so at this value, and the value afterwards.
func step(value int, one operation) (bool, int) {
	if one.Op == "get" {
		return value == one.Got, value
	}
	after := one.Value
	if one.Op == "delete" {
		after = 0
	}
	may := holds(one, value) && (one.Op == "put" || value != 0)
	switch one.Outcome {
	case "done":
		return may, after
	case "refused":
		return !holds(one, value) && (one.Op == "put" || value != 0), value
	case "absent":
		return value == 0, value
	default:
		if may {
			return true, after
		}
		return true, value
	}
}

var model = porcupine.Model{
	Init: func() interface{} { return 0 },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		return step(state.(int), input.(operation))
	},
}

func read(from io.Reader) (map[string][]porcupine.Operation, error) {
	histories := map[string][]porcupine.Operation{}
	for lines := json.NewDecoder(from); ; {
		var one operation
		if err := lines.Decode(&one); err == io.EOF {
			return histories, nil
		} else if err != nil {
			return nil, err
		}
		end := one.Return
		if one.Outcome == "unknown" {
			end = math.MaxInt64
		}
		histories[one.Key] = append(histories[one.Key], porcupine.Operation{ClientId: one.Client, Input: one, Call: one.Call, Return: end})
	}
}

func main() {
	histories, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var wrong, undecided []string
	for key, history := range histories {
		switch porcupine.CheckOperationsTimeout(model, history, longest) {
		case porcupine.Illegal:
			wrong = append(wrong, key)
		case porcupine.Unknown:
			undecided = append(undecided, key)
		}
	}
	switch {
	case len(wrong) > 0:
		fmt.Println("not linearizable:", strings.Join(wrong, " "))
		os.Exit(1)
	case len(undecided) > 0:
		fmt.Println("undecided:", strings.Join(undecided, " "))
		os.Exit(3)
	}
	fmt.Println("linearizable")
}

// The commands of the first templates, and one that shows the running task.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"claiflow"
	"claiflow/log"
	"claiflow/task"
)

func init() {
	claiflow.Command("helloworld", claiflow.Options{Effect: claiflow.Read, Summary: "Greets"}, hello)
	claiflow.Command("math_pow", claiflow.Options{Effect: claiflow.Read, Summary: "x to the power y"}, power)
	claiflow.Command("swap_command", claiflow.Options{Effect: claiflow.Read, Summary: "Gives its two values in the other order"}, swap)
	claiflow.Command("count", claiflow.Options{Effect: claiflow.Idempotent, Summary: "Counts, and says so on the way"}, count)
}

func main() {}

// Greeted is whom to greet.
type Greeted struct {
	Name string `json:"name"`
}

func hello(_ *claiflow.Call, in Greeted) (string, error) {
	return "hello " + in.Name, nil
}

// Powers are a base and its exponent.
type Powers struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

func power(_ *claiflow.Call, in Powers) (float64, error) {
	result := math.Pow(in.X, in.Y)
	if math.IsInf(result, 0) || math.IsNaN(result) {
		return 0, claiflow.Errorf("failed", "%s to the power %s is not a finite number", digits(in.X), digits(in.Y))
	}
	return result, nil
}

func digits(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

// Values are any two.
type Values struct {
	Param1 json.RawMessage `json:"param1"`
	Param2 json.RawMessage `json:"param2"`
}

// Swapped are the two, the other way round.
type Swapped struct {
	Value1 json.RawMessage `json:"value1"`
	Value2 json.RawMessage `json:"value2"`
}

func swap(_ *claiflow.Call, in Values) (Swapped, error) {
	return Swapped{in.Param2, in.Param1}, nil
}

// Counted is how far to count, and how fast.
type Counted struct {
	To      uint64 `json:"to" min:"1" max:"100"`
	PauseMs uint64 `json:"pause_ms" min:"0" max:"1000" default:"1"`
}

func count(call *claiflow.Call, in Counted) (uint64, error) {
	for done := uint64(1); done <= in.To; done++ {
		if err := task.Sleep(time.Duration(in.PauseMs) * time.Millisecond); err != nil {
			return 0, err
		}
		task.Progress(done, in.To, fmt.Sprintf("%d of %d", done, in.To))
	}
	if err := task.Note(map[string]uint64{"counted": in.To}); err != nil {
		return 0, err
	}
	log.Info("counted", "to", in.To, "attempt", call.Attempt)
	return in.To, nil
}

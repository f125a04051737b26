package claiflow_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"claiflow"
	"claiflow/claiflowtest"
	"claiflow/log"
	"claiflow/task"
)

type greeted struct {
	Name  string `json:"name" doc:"whom"`
	Times *int   `json:"times"`
}

type order struct {
	Item string   `json:"item"`
	Size string   `json:"size" enum:"small,large" default:"small"`
	Tags []string `json:"tags,omitzero"`
}

func init() {
	claiflow.Command("tool.greet", claiflow.Options{Effect: claiflow.Read, Summary: "Greets a person"},
		func(call *claiflow.Call, in greeted) (string, error) {
			log.Info("greeting", "name", in.Name, "attempt", call.Attempt)
			times := 1
			if in.Times != nil {
				times = *in.Times
			}
			return strings.TrimSpace(strings.Repeat("hello "+in.Name+" ", times)), nil
		})
	claiflow.Command("tool.order", claiflow.Options{Effect: claiflow.Idempotent}, func(_ *claiflow.Call, in order) (order, error) {
		task.Progress(1, 2, "half")
		return in, task.Sleep(250 * time.Millisecond)
	})
	rules := []claiflow.Rule{{When: ".dry == true", Effect: claiflow.Read}, {Effect: claiflow.Verify}}
	claiflow.Command("tool.{noun}.{verb+}", claiflow.Options{Rules: rules},
		func(call *claiflow.Call, _ map[string]any) (map[string]string, error) {
			return call.Captures, task.Note(map[string]string{"key": call.EffectKey})
		}).Verify(func(call *claiflow.Call, _ map[string]any) (claiflow.Verdict, error) {
		if len(call.Notes) == 0 {
			return claiflow.NotDone(), task.Note("no")
		}
		return claiflow.Done(call.Notes[0]), nil
	})
	claiflow.Command("tool.fail", claiflow.Options{Inputs: map[string]any{"type": "object"}}, fail)
}

func fail(call *claiflow.Call, in map[string]any) (any, error) {
	switch in["how"] {
	case "code":
		return nil, claiflow.Errorf("quota-spent", "too many").RetryAfter(5 * time.Millisecond).Applied(claiflow.AppliedNone)
	case "plain":
		return nil, errors.New("just so")
	case "bug":
		return []int{}[len(in)-1], nil
	case "nan":
		return math.NaN(), nil
	case "config":
		var settings struct{ Limit int }
		return &settings.Limit, call.Config(&settings)
	default:
		return nil, nil
	}
}

func refused(t *testing.T, code, part, command string, inputs any) *claiflow.Error {
	t.Helper()
	answer, err := claiflowtest.Run(command, inputs)
	if claiflow.CodeOf(err) != code || !strings.Contains(err.Error(), part) {
		t.Fatalf("%s answered %v, %v in place of %s: %s", command, answer, err, code, part)
	}
	return claiflow.AsError(err)
}

func equal(t *testing.T, got, expected any) {
	t.Helper()
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("it is %#v\nand should be %#v", got, expected)
	}
}

type object = map[string]any

func TestACommandSaysWhatItIsAndWhatItSaysIsKept(t *testing.T) {
	host := claiflowtest.NewHost()
	answer, err := claiflowtest.Run("tool.greet", object{"name": "world", "times": 2.0}, claiflow.Call{Attempt: 2})
	equal(t, []any{answer, err}, []any{"hello world hello world", nil})
	equal(t, host.Lines, []claiflowtest.Line{{
		Level: "info", Message: "greeting", Fields: map[string]string{"name": "world", "attempt": "2"},
	}})
	described, err := claiflowtest.Describe()
	if err != nil {
		t.Fatal(err)
	}
	commands := described["commands"].([]any)
	times := object{"anyOf": []any{object{"type": "integer"}, object{"type": "null"}}}
	name := object{"type": "string", "description": "whom"}
	equal(t, commands[0], object{
		"name": "tool.greet", "summary": "Greets a person", "effect": "read", "outputs": object{"type": "string"},
		"inputs": object{"type": "object", "properties": object{"name": name, "times": times}, "required": []any{"name"}},
	})
	size := commands[1].(object)["inputs"].(object)["properties"].(object)["size"]
	equal(t, size, object{"type": "string", "enum": []any{"small", "large"}, "default": "small"})
	equal(t, commands[2].(object)["pattern"], "tool.{noun}.{verb+}")
	equal(t, commands[3].(object)["effect"], "never")
}

func TestInputsBecomeTheTypesOfTheFunction(t *testing.T) {
	host := claiflowtest.NewHost()
	answer, err := claiflowtest.Run("tool.order", object{"item": "tea <b>", "more": 1})
	equal(t, []any{answer, err}, []any{object{"item": "tea <b>", "size": "small", "tags": []any{}}, nil})
	equal(t, host.Progress, []claiflowtest.Progress{{Done: 1, Total: 2, Message: "half"}})
	equal(t, host.Slept, 250*time.Millisecond)
	for part, inputs := range map[string]object{
		`the inputs: "item" is a required property`: {},
		"/item: is not of type string":              {"item": 3},
		"/size: is none of small, large":            {"item": "tea", "size": "huge"},
		"/tags/1: is not of type string":            {"item": "tea", "tags": []any{"a", 1}},
	} {
		refused(t, "invalid", part, "tool.order", inputs)
	}
	refused(t, "not-found", "no command `tool`", "tool", nil)
	host.Stop = "cancelled"
	refused(t, "stopped", "asked to stop: cancelled", "tool.order", object{"item": "tea"})
}

func TestPlacesTakeSegmentsAndNotesReachVerifyWhichLeavesNothingBehind(t *testing.T) {
	host := claiflowtest.NewHost()
	answer, err := claiflowtest.Run("tool.pods.list.v1", nil, claiflow.Call{EffectKey: "k"})
	equal(t, []any{answer, err}, []any{object{"noun": "pods", "verb": "list.v1"}, nil})
	equal(t, host.Notes, []json.RawMessage{json.RawMessage(`{"key":"k"}`)})
	verdict, err := claiflowtest.Verify("tool.pods.list", nil, claiflow.Call{Notes: host.Notes})
	equal(t, []any{verdict, err}, []any{object{"verdict": "done", "output": object{"key": "k"}}, nil})
	_, err = claiflowtest.Verify("tool.pods.list", nil)
	equal(t, claiflow.CodeOf(err), "denied")
	verdict, _ = claiflowtest.Verify("tool.greet", object{"name": "x"})
	equal(t, verdict.(object)["verdict"], "unknown")
	for range 15 {
		if _, err := claiflowtest.Run("tool.pods.list", nil); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, "budget", "at most 16 notes", "tool.pods.list", nil)
}

func TestAFailureSaysItsCodeAndAMistakeItsPlace(t *testing.T) {
	host := claiflowtest.NewHost()
	spent := refused(t, "quota-spent", "too many", "tool.fail", object{"how": "code"})
	equal(t, spent.Details, object{"retry-after-ms": 5.0, "effect": "none"})
	refused(t, "failed", "just so", "tool.fail", object{"how": "plain"})
	refused(t, "failed", "index out of range", "tool.fail", object{"how": "bug"})
	if stack := host.Lines[len(host.Lines)-1].Fields["stack"]; !strings.Contains(stack, "claiflow_test.go") {
		t.Error(stack)
	}
	refused(t, "failed", "the result is not JSON", "tool.fail", object{"how": "nan"})
	answer, err := claiflowtest.Run("tool.fail", object{"how": "config"}, claiflow.Call{Settings: json.RawMessage(`{"limit": 7}`)})
	equal(t, []any{answer, err}, []any{7.0, nil})
	answer, err = claiflowtest.Run("tool.fail", nil)
	equal(t, []any{answer, err}, []any{nil, nil})
}

func TestAMistakeInADeclarationSaysWhatWouldBeRight(t *testing.T) {
	for _, wrong := range []struct {
		name    string
		options claiflow.Options
		part    string
	}{
		{"a b", claiflow.Options{}, "ASCII letters"},
		{"a.{x+}.b", claiflow.Options{}, "nothing may follow"},
		{"tool.greet", claiflow.Options{}, "there already"},
		{"a", claiflow.Options{Effect: "maybe"}, `one of "read"`},
		{"a", claiflow.Options{Effect: claiflow.Read, Rules: []claiflow.Rule{{Effect: claiflow.Read}}}, "not both"},
		{"a", claiflow.Options{Rules: []claiflow.Rule{{When: ".x", Effect: claiflow.Read}}}, "but the last"},
	} {
		said := panicked(func() {
			claiflow.Command(wrong.name, wrong.options, func(*claiflow.Call, struct{}) (any, error) { return nil, nil })
		})
		if !strings.Contains(said, wrong.part) {
			t.Errorf("%q: %s", wrong.name, said)
		}
	}
}

func panicked(call func()) (said string) {
	defer func() {
		if cause := recover(); cause != nil {
			said = cause.(string)
		}
	}()
	call()
	return ""
}

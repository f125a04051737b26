package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"claiflow"
	"claiflow/claiflowtest"
)

// The table that the agent's tests go through with the component.
const table = "../../host-agent/tests/languages/cases.json"

type scene struct {
	Name, Command string
	Inputs        map[string]any
	Output        any
	Code, Message string
	Cancelled     bool
	Lines         [][]any
	Notes         []string
}

func TestEveryCaseOfTheTableIsAnsweredAsItSays(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash(table))
	if err != nil {
		t.Fatal(err)
	}
	var scenes []scene
	if err := json.Unmarshal(text, &scenes); err != nil {
		t.Fatal(err)
	}
	for _, scene := range scenes {
		t.Run(scene.Name, func(t *testing.T) { scene.play(t) })
	}
}

func (s scene) play(t *testing.T) {
	host := claiflowtest.NewHost()
	if s.Cancelled {
		host.Stop = "cancelled"
	}
	answer, err := claiflowtest.Run(s.Command, s.Inputs, claiflow.Call{Attempt: 3})
	if claiflow.CodeOf(err) != s.Code || err != nil && !strings.Contains(err.Error(), strings.Trim(s.Message, `"`)) {
		t.Fatalf("it failed with %v", err)
	}
	if !reflect.DeepEqual(answer, s.Output) {
		t.Errorf("it answered %v", answer)
	}
	for at, line := range host.Lines {
		if got := []any{line.Level, line.Message, anyOf(line.Fields)}; !reflect.DeepEqual(got, s.Lines[at]) {
			t.Errorf("it logged %v", got)
		}
	}
	for at, note := range host.Notes {
		if string(note) != s.Notes[at] {
			t.Errorf("it noted %s", note)
		}
	}
	if len(host.Lines) != len(s.Lines) || len(host.Notes) != len(s.Notes) {
		t.Errorf("it left %d lines and %d notes", len(host.Lines), len(host.Notes))
	}
}

func anyOf(fields map[string]string) map[string]any {
	all := map[string]any{}
	for name, value := range fields {
		all[name] = value
	}
	return all
}

func TestWhatIsCountedIsDescribed(t *testing.T) {
	described, err := claiflowtest.Describe()
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range described["commands"].([]any) {
		command := it.(map[string]any)
		if command["name"] != "count" {
			continue
		}
		properties := command["inputs"].(map[string]any)["properties"].(map[string]any)
		expected := map[string]any{
			"to":       map[string]any{"type": "integer", "minimum": 1.0, "maximum": 100.0},
			"pause_ms": map[string]any{"type": "integer", "minimum": 0.0, "maximum": 1000.0, "default": 1.0},
		}
		if !reflect.DeepEqual(properties, expected) || command["effect"] != "idempotent" {
			t.Errorf("it is described as %v", command)
		}
		return
	}
	t.Error("there is no command `count`")
}

package shape

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

type tree struct{ Leaves []tree }

type inner struct {
	Deep uint8 `json:"deep" max:"9"`
}

type outer struct {
	inner
	Shown  string `json:"shown,omitempty"`
	hidden int
	Left   int `json:"-"`
}

func fitted(t *testing.T, kind any, text string) (string, error) {
	t.Helper()
	shape, err := Of(reflect.TypeOf(kind).Elem())
	if err != nil {
		t.Fatal(err)
	}
	reader := json.NewDecoder(strings.NewReader(text))
	reader.UseNumber()
	var value any
	if err := reader.Decode(&value); err != nil {
		t.Fatal(err)
	}
	fitting, _, err := shape.Fit(value)
	if err != nil {
		return "", err
	}
	written, err := json.Marshal(fitting)
	return string(written), err
}

func TestTypesAndSchemasAgree(t *testing.T) {
	for _, it := range []struct {
		kind              any
		schema, good, bad string
	}{
		{new(int), `{"type":"integer"}`, `3`, `true`},
		{new(int), `{"type":"integer"}`, `12345678901234567890`, `3.5`},
		{new(uint), `{"minimum":0,"type":"integer"}`, `3`, `-1`},
		{new(float64), `{"type":"number"}`, `3`, `"3"`},
		{new(bool), `{"type":"boolean"}`, `true`, `1`},
		{new(*string), `{"anyOf":[{"type":"string"},{"type":"null"}]}`, `null`, `1`},
		{new([]int), `{"items":{"type":"integer"},"type":"array"}`, `[1]`, `[1.5]`},
		{new(map[string]bool), `{"additionalProperties":{"type":"boolean"},"type":"object"}`, `{"a":true}`, `{"a":1}`},
		{new([]byte), `{"type":"string"}`, `"aGk="`, `[1]`},
		{new(time.Time), `{"format":"date-time","type":"string"}`, `"2026-01-01T00:00:00Z"`, `1`},
		{new(any), `{}`, `[1,null]`, ``},
		{new(json.RawMessage), `{}`, `{"a":1}`, ``},
		{
			new(outer),
			`{"properties":{"deep":{"maximum":9,"minimum":0,"type":"integer"},"shown":{"type":"string"}},"required":["deep"],"type":"object"}`,
			`{"deep":9}`, `{"deep":10}`,
		},
	} {
		shape, err := Of(reflect.TypeOf(it.kind).Elem())
		if err != nil {
			t.Fatal(err)
		}
		schema, _ := json.Marshal(shape.Schema())
		if string(schema) != it.schema {
			t.Errorf("%T has the schema %s", it.kind, schema)
		}
		if fitting, err := fitted(t, it.kind, it.good); err != nil || fitting != it.good {
			t.Errorf("%T made %s of %s: %v", it.kind, fitting, it.good, err)
		}
		if it.bad == "" {
			continue
		}
		if fitting, err := fitted(t, it.kind, it.bad); err == nil {
			t.Errorf("%T made %s of %s", it.kind, fitting, it.bad)
		}
	}
}

func TestWholeNumbersAreReadHoweverTheyAreWritten(t *testing.T) {
	for text, expected := range map[string]string{"3.0": "3", "1e2": "100", "-0.0": "-0"} {
		if fitting, err := fitted(t, new(int), text); err != nil || fitting != expected {
			t.Errorf("%s is %s: %v", text, fitting, err)
		}
	}
	if _, err := fitted(t, new(int), "1e400"); err == nil {
		t.Error("a number that is too large fits")
	}
}

func TestTypesThatJSONCannotHaveAreRefused(t *testing.T) {
	for part, kind := range map[string]any{
		"no JSON Schema":   new(chan int),
		"keys that are no": new(map[int]string),
		"contains itself":  new(tree),
		"`enum` is for texts": new(struct {
			A int `enum:"a"`
		}),
		"`max` is a number": new(struct {
			A int `max:"x"`
		}),
		"`default` is no JSON": new(struct {
			A int `default:"x"`
		}),
	} {
		if _, err := Of(reflect.TypeOf(kind).Elem()); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%T: %v", kind, err)
		}
	}
}

func TestWhatWasNeverMadeIsEmpty(t *testing.T) {
	value := struct {
		List  []*struct{ Inner []int }
		Map   map[string][]string
		Raw   json.RawMessage
		None  *[]int
		Any   any
		Deep  map[string]struct{ List []int }
		inner []int
	}{List: []*struct{ Inner []int }{{}}, Deep: map[string]struct{ List []int }{"a": {}}}
	Fill(reflect.ValueOf(&value))
	text, _ := json.Marshal(value)
	expected := `{"List":[{"Inner":[]}],"Map":{},"Raw":null,"None":null,"Any":null,"Deep":{"a":{"List":[]}}}`
	if string(text) != expected {
		t.Errorf("it is %s", text)
	}
}

package claiflow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"claiflow/internal/pattern"
	"claiflow/internal/shape"
)

type command struct {
	name    string
	options Options
	in, out reflect.Type
	run     step
	verify  step
}

var (
	commands = map[string]*command{}
	// In which they were named.
	order []*command
)

// find is the command that serves `name`, and what its places took.
func find(name string) (*command, map[string]string) {
	if served := commands[name]; served != nil && !pattern.Is(name) {
		return served, nil
	}
	var best *command
	var taken map[string]string
	for _, served := range order {
		if !pattern.Is(served.name) || best != nil && pattern.Words(served.name) <= pattern.Words(best.name) {
			continue
		}
		if captures := pattern.Captures(served.name, name); captures != nil {
			best, taken = served, captures
		}
	}
	return best, taken
}

// fitting checks the text of the inputs, and answers it with what is missing and has a default.
func (c *command) fitting(text string) (string, error) {
	kind, err := shape.Of(c.in)
	if err != nil && c.options.Inputs != nil {
		return text, nil
	}
	if err != nil {
		return "", err
	}
	reader := json.NewDecoder(strings.NewReader(text))
	// Whole numbers keep all of their digits.
	reader.UseNumber()
	var inputs any
	if err := reader.Decode(&inputs); err != nil {
		return "", err
	}
	fitting, isOther, err := kind.Fit(inputs)
	if err != nil || !isOther {
		return text, err
	}
	made, err := json.Marshal(fitting)
	return string(made), err
}

// decoded are inputs that fit, as the type that a function takes.
func decoded[In any](inputs string) (In, error) {
	var in In
	if err := json.Unmarshal([]byte(inputs), &in); err != nil {
		return in, Errorf("invalid", "the inputs do not fit: %w", err)
	}
	return in, nil
}

// written is the JSON text of a result: a pointer to it, so that what was never made can be made empty.
func written(result any) (string, error) {
	shape.Fill(reflect.ValueOf(result))
	var text bytes.Buffer
	writer := json.NewEncoder(&text)
	writer.SetEscapeHTML(false)
	if err := writer.Encode(result); err != nil {
		return "", Errorf("failed", "the result is not JSON: %w", err)
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}

// described is what an agent learns of a command when it loads the plugin.
func (c *command) described() (map[string]any, error) {
	if c.options.verifies() != (c.verify != nil) {
		return nil, fmt.Errorf("command %q: the effect \"verify\" and `.Verify(…)` go together", c.name)
	}
	inputs, err := schema(c.options.Inputs, c.in)
	if err != nil {
		return nil, fmt.Errorf("command %q: `Inputs`: %w", c.name, err)
	}
	outputs, err := schema(c.options.Outputs, c.out)
	if err != nil {
		return nil, fmt.Errorf("command %q: `Outputs`: %w", c.name, err)
	}
	key := "name"
	if pattern.Is(c.name) {
		key = "pattern"
	}
	told := map[string]any{
		key: c.name, "summary": c.options.Summary, "effect": c.options.effect(), "inputs": inputs, "outputs": outputs,
	}
	if c.options.Rules != nil {
		told["effect"] = c.options.Rules
	}
	return told, nil
}

func schema(own any, kind reflect.Type) (any, error) {
	if own != nil {
		return own, nil
	}
	of, err := shape.Of(kind)
	if err != nil {
		return nil, err
	}
	return of.Schema(), nil
}

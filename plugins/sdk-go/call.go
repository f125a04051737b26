package claiflow

import (
	"encoding/json"
	"fmt"
	"time"
)

// Call is of which task, step and attempt a call is, and what the operator and earlier attempts left for it.
type Call struct {
	// Command is the name that the template used.
	Command string `json:"-"`
	// Task is the task's UUID, 32 hexadecimal digits.
	Task string `json:"task"`
	// Step is the step's path in the flow, such as `2/r[17]/p`.
	Step string `json:"step"`
	// Attempt is 1 for the first.
	Attempt uint32 `json:"attempt"`
	// EffectKey is the same for all attempts of one call, and for no other call.
	EffectKey string `json:"effect-key"`
	// Deadline is when the call ends at the latest, in UTC; zero without one.
	Deadline time.Time `json:"deadline,omitzero"`
	// Captures are what the places of a pattern took, by name.
	Captures map[string]string `json:"captures,omitempty"`
	// Traceparent is a W3C trace context, to be sent on; empty without one.
	Traceparent string `json:"traceparent,omitempty"`
	// Notes are what earlier attempts left with task.Note, in their order: JSON texts.
	Notes []json.RawMessage `json:"notes,omitempty"`
	// Settings are what the operator set for this plugin in the grants file, a JSON text; empty without any.
	Settings json.RawMessage `json:"config,omitempty"`
}

// Config reads what the operator set for this plugin into the struct that `settings` points to, and leaves alone what was not set.
func (c *Call) Config(settings any) error {
	if len(c.Settings) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.Settings, settings); err != nil {
		return Errorf("failed", "the `config` of this plugin in the grants file: %w", err)
	}
	return nil
}

// parsed reads the contract's text. Keys that nobody knows here are left alone: the contract lets this object grow.
func parsed(command, text string, taken map[string]string) (*Call, error) {
	call := &Call{}
	if err := json.Unmarshal([]byte(text), call); err != nil {
		return nil, fmt.Errorf("the context of the call: %w", err)
	}
	call.Command = command
	if call.Captures == nil {
		call.Captures = map[string]string{}
	}
	for name, value := range taken {
		call.Captures[name] = value
	}
	return call, nil
}

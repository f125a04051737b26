package claiflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"claiflow/internal/guest"
	"claiflow/internal/host"
	"claiflow/internal/shape"
)

func init() {
	guest.Describe, guest.Run, guest.Verify = describe, run, verify
}

func describe() (string, error) {
	if len(order) == 0 {
		return "", errors.New("this plugin names no command; call claiflow.Command in an `init` of its package main")
	}
	told := make([]any, len(order))
	for at, served := range order {
		described, err := served.described()
		if err != nil {
			return "", err
		}
		told[at] = described
	}
	text, err := json.Marshal(struct {
		guest.About
		Commands []any `json:"commands"`
	}{guest.Plugin, told})
	return string(text), err
}

func run(name, inputs, context string) (string, *host.Failure) {
	return answered(name, inputs, context, func(served *command) step { return served.run })
}

func verify(name, inputs, context string) (string, *host.Failure) {
	return answered(name, inputs, context, func(served *command) step {
		if served.verify == nil {
			return func(*Call, string) (any, error) { return Unknown("this command cannot tell").contract(), nil }
		}
		return served.verify
	})
}

// step of a call, from the text of inputs that fit to something that JSON can have.
type step func(*Call, string) (any, error)

func answered(name, inputs, context string, of func(*command) step) (text string, failure *host.Failure) {
	// A mistake in the code is found by its place, which the task's log then has.
	defer func() {
		if cause := recover(); cause != nil {
			host.Write(host.Error, fmt.Sprintf("panicked: %v", cause), []host.Field{{Name: "stack", Value: string(debug.Stack())}})
			text, failure = "", &host.Failure{Code: "failed", Message: fmt.Sprintf("panicked: %v", cause)}
		}
	}()
	served, taken := find(name)
	if served == nil {
		return "", Errorf("not-found", "this plugin has no command `%s`", name).failure()
	}
	text, err := served.answer(of(served), name, inputs, context, taken)
	if err != nil {
		return "", AsError(err).failure()
	}
	return text, nil
}

func (c *command) answer(ask step, name, inputs, context string, taken map[string]string) (string, error) {
	call, err := parsed(name, context, taken)
	if err != nil {
		return "", err
	}
	fitting, err := c.fitting(inputs)
	var misfit *shape.Misfit
	if errors.As(err, &misfit) {
		return "", Errorf("invalid", "the inputs do not fit: %w", misfit)
	}
	if err != nil {
		return "", err
	}
	result, err := ask(call, fitting)
	if err != nil {
		return "", err
	}
	return written(result)
}

package claiflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"claiflow/internal/host"
)

// Applied says whether a call had its effect.
type Applied string

// Whether a call that failed had its effect.
const (
	AppliedNone    Applied = "none"
	AppliedDone    Applied = "done"
	AppliedUnknown Applied = "unknown"
)

// Error is a failure: a code for programs, one sentence for a person, and details. Never put a secret into it.
//
// Codes of the contract: `invalid`, `not-found`, `exists`, `conflict`, `unavailable`, `timeout`, `stopped`, `failed`, ….
type Error struct {
	Code    string
	Message string
	// Details are written as a JSON object.
	Details map[string]any

	cause error
}

// Errorf makes an error as fmt.Errorf does, with a code.
func Errorf(code, format string, parts ...any) *Error {
	made := fmt.Errorf(format, parts...)
	return &Error{Code: code, Message: made.Error(), cause: errors.Unwrap(made)}
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Unwrap is what Errorf was given for `%w`.
func (e *Error) Unwrap() error { return e.cause }

// Applied adds whether the call had its effect.
func (e *Error) Applied(effect Applied) *Error { return e.with("effect", effect) }

// RetryAfter adds when to try again.
func (e *Error) RetryAfter(wait time.Duration) *Error {
	return e.with("retry-after-ms", wait.Milliseconds())
}

// MayPassLater says whether the same call may work later.
func (e *Error) MayPassLater() bool {
	switch e.Code {
	case "unavailable", "timeout", "conflict", "gone":
		return true
	default:
		return false
	}
}

func (e *Error) with(name string, value any) *Error {
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	e.Details[name] = value
	return e
}

// AsError is any error as one with a code: itself where it has one, what the host said, and `failed` with its sentence otherwise. It is nil
// for nil.
func AsError(err error) *Error {
	var coded *Error
	var failure *host.Failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return coded
	case errors.As(err, &failure):
		said := &Error{Code: failure.Code, Message: failure.Message, cause: err}
		// Details that are no object are none.
		_ = json.Unmarshal([]byte(failure.Details), &said.Details)
		return said
	default:
		return &Error{Code: "failed", Message: err.Error(), cause: err}
	}
}

// CodeOf is the code of an error; empty for nil.
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}

func (e *Error) failure() *host.Failure {
	failure := &host.Failure{Code: e.Code, Message: e.Message}
	if len(e.Details) > 0 {
		// Details of an author's that are no JSON are none.
		details, _ := json.Marshal(e.Details)
		failure.Details = string(details)
	}
	return failure
}

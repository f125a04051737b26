package kubernetes

import (
	"claiflow"
	"claiflow/internal/host"
)

// Exec runs a program in a container; an empty one is the annotated default, else the first. Of the options, Stdin and Tty count. Close it
// in the end.
func (a Api[T]) Exec(pod, container string, command []string, options ...Options) (*Execution, error) {
	target, text, err := a.asked(pod, options)
	if err != nil {
		return nil, err
	}
	program, err := host.Exec(target, container, command, text)
	if err != nil {
		return nil, claiflow.AsError(err)
	}
	return &Execution{program}, nil
}

// Execution is a program that runs in a container.
type Execution struct{ program host.Program }

// Write writes to the program's input.
func (e *Execution) Write(data []byte) (int, error) {
	if err := e.program.Write(data); err != nil {
		return 0, claiflow.AsError(err)
	}
	return len(data), nil
}

// CloseInput ends the program's input.
func (e *Execution) CloseInput() { e.program.CloseInput() }

// Next is `stdout` or `stderr` and what came there, no bytes when nothing came in time; more is false once the program wrote all.
func (e *Execution) Next(timeoutMs uint32) (stream string, data []byte, more bool, err error) {
	stream, data, more, err = e.program.Read(pieceBytes, timeoutMs)
	if err != nil {
		return "", nil, false, claiflow.AsError(err)
	}
	return stream, data, more, nil
}

// Status is how the program ended, once Next gave no more.
type Status struct {
	// Exit is nil where the program could not be run.
	Exit *int `json:"exit"`
	// Error is why, or empty.
	Error string `json:"error"`
}

// Status is how the program ended.
func (e *Execution) Status() (Status, error) { return read[Status](e.program.Status()) }

// Close ends the reading.
func (e *Execution) Close() { e.program.Drop() }

// Package claiflowtest is a host for tests: it remembers what a command says, and answers what the test wants.
//
//	host := claiflowtest.NewHost()
//	answer, err := claiflowtest.Run("greeter.greet", map[string]any{"name": "world"})
//	// answer == "hello world", err == nil, host.Lines[0].Fields["name"] == "world"
package claiflowtest

import (
	"encoding/json"
	"time"

	"claiflow"
	"claiflow/internal/guest"
	"claiflow/internal/host"
)

const (
	notesMax     = 16
	noteMaxBytes = 4 << 10
)

// Line is a line that a command wrote.
type Line struct {
	Level, Message string
	Fields         map[string]string
}

// Progress is how far a command said to be.
type Progress struct {
	Done, Total uint64
	Message     string
}

// Host is the host of all commands, until there is another one.
type Host struct {
	Lines    []Line
	Progress []Progress
	// Notes are JSON texts; give them to the next attempt in its Call.
	Notes []json.RawMessage
	// Slept is how long commands slept; a test does not wait for it.
	Slept time.Duration
	// Remaining is what task.Remaining answers.
	Remaining time.Duration
	// Stop is a reason that asks commands to stop, or empty.
	Stop string
	// Cluster is what package kubernetes reaches.
	Cluster *Cluster
	// Web is what package http reaches.
	Web *Web
}

// NewHost makes a host and puts it in place of the one before.
func NewHost() *Host {
	made := &Host{Remaining: time.Minute, Cluster: newCluster(), Web: &Web{}}
	host.Attach(&played{made, made.Cluster, made.Web})
	return made
}

// Run runs a command as an agent does. The inputs are whatever encoding/json writes as an object; the result is as encoding/json reads it.
// An error is a *claiflow.Error.
func Run(command string, inputs any, call ...claiflow.Call) (any, error) {
	return made(guest.Run, command, inputs, call)
}

// Verify asks whether an earlier attempt of a call took effect; it answers the verdict's object. Notes and writes are `denied` meanwhile.
func Verify(command string, inputs any, call ...claiflow.Call) (any, error) {
	isAsked = true
	defer func() { isAsked = false }()
	return made(guest.Verify, command, inputs, call)
}

// Describe is what an agent learns when it loads the plugin, or what is wrong with one of its commands.
func Describe() (map[string]any, error) {
	text, err := guest.Describe()
	if err != nil {
		return nil, err
	}
	var described map[string]any
	err = json.Unmarshal([]byte(text), &described)
	return described, err
}

// Whether a Verify runs.
var isAsked bool

func made(ask func(string, string, string) (string, *host.Failure), command string, inputs any, calls []claiflow.Call) (any, error) {
	call := claiflow.Call{Attempt: 1}
	if len(calls) > 0 {
		call = calls[0]
	}
	if inputs == nil {
		inputs = struct{}{}
	}
	given, err := json.Marshal(inputs)
	if err != nil {
		return nil, err
	}
	context, err := json.Marshal(call)
	if err != nil {
		return nil, err
	}
	text, failure := ask(command, string(given), string(context))
	if failure != nil {
		return nil, claiflow.AsError(failure)
	}
	var answer any
	err = json.Unmarshal([]byte(text), &answer)
	return answer, err
}

// refusal is a failure as the host says it.
func refusal(code, message string, details map[string]any) error {
	text := ""
	if details != nil {
		// Texts and numbers are always JSON.
		written, _ := json.Marshal(details)
		text = string(written)
	}
	return &host.Failure{Code: code, Message: message, Details: text}
}

// failure is an author's error as the host says it.
func failure(err *claiflow.Error) error { return refusal(err.Code, err.Message, err.Details) }

// Package host is what the sandbox offers, in Go's types: imports in a component, a played host in a test.
package host

import "time"

// Failure is the contract's record of why a host call failed.
type Failure struct {
	// Code for programs.
	Code string
	// Message is one sentence for a person.
	Message string
	// Details is the text of a JSON object, or empty.
	Details string
}

func (f *Failure) Error() string { return f.Message }

// Level of a log line.
type Level uint32

// The contract's levels.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// Field of a log line: name and value.
type Field struct{ Name, Value string }

// Resource is a kind by its plural, where an empty version is the one that the API server prefers.
type Resource struct{ Group, Version, Plural, Subresource string }

// Object is one object of a kind.
type Object struct {
	Resource Resource
	// Namespace is nil for kinds that lie in none.
	Namespace *string
	Name      string
}

// Place says where to list and to watch.
type Place uint32

// The contract's scopes.
const (
	InCluster Place = iota
	InNamespace
	Granted
)

// Scope of a list or a watch; the namespace counts in InNamespace alone.
type Scope struct {
	Place     Place
	Namespace string
}

// Pages of a list.
type Pages interface {
	// Next answers a JSON array, and whether there was one.
	Next() (page string, more bool, err error)
	Drop()
}

// Events of a watch.
type Events interface {
	// Next answers a JSON array, empty when nothing came in time.
	Next(timeoutMs uint32) (string, error)
	Drop()
}

// Stream of bytes.
type Stream interface {
	// Read answers false at the end, and no bytes when nothing came in time.
	Read(maxBytes, timeoutMs uint32) (data []byte, more bool, err error)
	Drop()
}

// Program that runs in a container.
type Program interface {
	Write(data []byte) error
	CloseInput()
	// Read answers `stdout` or `stderr` and what came there; false once both ended.
	Read(maxBytes, timeoutMs uint32) (stream string, data []byte, more bool, err error)
	// Status is a JSON object, after the end.
	Status() (string, error)
	Drop()
}

// Header of a request or an answer.
type Header struct{ Name, Value string }

// Request over HTTP.
type Request struct {
	Method, URL string
	Headers     []Header
	Body        []byte
	// Timeout of each step; zero: the host's.
	Timeout time.Duration
}

// Answer to a request, read to its end.
type Answer struct {
	Status int
	// Headers have names in small letters.
	Headers []Header
	Body    []byte
}

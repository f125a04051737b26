package kubernetes

import (
	"iter"

	"claiflow"
	"claiflow/internal/host"
)

// Bytes that are asked for at once.
const pieceBytes = 64 << 10

// List reads all objects, page by page; an error is the last thing it yields. Of the options, Fields, Labels, FieldSelector, Limit and
// MetadataOnly count.
func (a Api[T]) List(options ...Options) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		text, err := textOf(options)
		if err != nil {
			yield(none, err)
			return
		}
		pages, err := host.List(a.kind(), a.scope, text)
		if err != nil {
			yield(none, claiflow.AsError(err))
			return
		}
		defer pages.Drop()
		limit := uint32(0)
		if len(options) > 0 {
			limit = options[0].Limit
		}
		for count := uint32(0); limit == 0 || count < limit; {
			page, more, err := pages.Next()
			if err == nil && !more {
				return
			}
			objects, err := read[[]T](page, err)
			if err != nil {
				yield(none, err)
				return
			}
			for _, object := range objects {
				if limit != 0 && count == limit || !yield(object, nil) {
					return
				}
				count++
			}
		}
	}
}

// All are the objects of a list at once.
func (a Api[T]) All(options ...Options) ([]T, error) {
	all := []T{}
	for object, err := range a.List(options...) {
		if err != nil {
			return nil, err
		}
		all = append(all, object)
	}
	return all, nil
}

// Watch tells what changes from now on. Options as of List, and ResourceVersion. Close it in the end.
func (a Api[T]) Watch(options ...Options) (*Watching[T], error) {
	text, err := textOf(options)
	if err != nil {
		return nil, err
	}
	events, err := host.Watch(a.kind(), a.scope, text)
	if err != nil {
		return nil, claiflow.AsError(err)
	}
	return &Watching[T]{events}, nil
}

// Event is a change: its type is `ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK`.
type Event[T any] struct {
	Type   string `json:"type"`
	Object T      `json:"object"`
}

// Watching are changes as they happen.
type Watching[T any] struct{ events host.Events }

// Next is what happened, and empty when nothing came in time. `gone`: watch anew.
func (w *Watching[T]) Next(timeoutMs uint32) ([]Event[T], error) {
	return read[[]Event[T]](w.events.Next(timeoutMs))
}

// Close ends the watch.
func (w *Watching[T]) Close() { w.events.Drop() }

// Log opens a pod's log. Of the options, Container, Previous, Follow, TailLines, SinceSeconds and Timestamps count. Close it in the end.
func (a Api[T]) Log(pod string, options ...Options) (*Log, error) {
	target, text, err := a.asked(pod, options)
	if err != nil {
		return nil, err
	}
	stream, err := host.ReadLog(target, text)
	if err != nil {
		return nil, claiflow.AsError(err)
	}
	return &Log{stream}, nil
}

// Log is a container's log.
type Log struct{ stream host.Stream }

// Next is the next piece, empty when nothing came in time; more is false at the end.
func (l *Log) Next(timeoutMs uint32) (data []byte, more bool, err error) {
	data, more, err = l.stream.Read(pieceBytes, timeoutMs)
	if err != nil {
		return nil, false, claiflow.AsError(err)
	}
	return data, more, nil
}

// Close ends the reading.
func (l *Log) Close() { l.stream.Drop() }

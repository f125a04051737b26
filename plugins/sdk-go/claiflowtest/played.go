package claiflowtest

import (
	"encoding/json"
	"fmt"
	"time"

	"claiflow/internal/host"
)

// played is a Host as commands see it.
type played struct {
	*Host
	*Cluster
	*Web
}

var levels = [...]string{"trace", "debug", "info", "warn", "error"}

func (p *played) Enabled(host.Level) bool { return true }

func (p *played) Write(level host.Level, message string, fields []host.Field) {
	line := Line{levels[level], message, map[string]string{}}
	for _, field := range fields {
		line.Fields[field.Name] = field.Value
	}
	p.Lines = append(p.Lines, line)
}

func (p *played) RemainingMs() uint64 { return uint64(p.Host.Remaining.Milliseconds()) }

func (p *played) StopRequested() (string, bool) { return p.Host.Stop, p.Host.Stop != "" }

func (p *played) Progress(done, total uint64, message string) {
	p.Host.Progress = append(p.Host.Progress, Progress{done, total, message})
}

func (p *played) Sleep(duration time.Duration) { p.Slept += duration }

func (p *played) Note(value string) error {
	switch {
	case isAsked:
		return refusal("denied", "only a running call leaves notes", nil)
	case len(value) > noteMaxBytes:
		return refusal("too-large", fmt.Sprintf("a note has at most %d bytes", noteMaxBytes), nil)
	case len(p.Notes) >= notesMax:
		return refusal("budget", fmt.Sprintf("a call and its earlier attempts leave at most %d notes", notesMax), nil)
	}
	p.Notes = append(p.Notes, json.RawMessage(value))
	return nil
}

func (p *played) Resources() (string, error) { return "[]", nil }

func (p *played) Get(target host.Object, options string) (string, error) {
	return p.get(target, options)
}

func (p *played) List(kind host.Resource, scope host.Scope, options string) (host.Pages, error) {
	return p.list(kind, scope, options)
}

func (p *played) Watch(kind host.Resource, scope host.Scope, _ string) (host.Events, error) {
	return p.watch(kind, scope)
}

func (p *played) ReadLog(pod host.Object, _ string) (host.Stream, error) { return p.log(pod) }

func (p *played) Create(target host.Object, body, _ string) (string, error) {
	return p.create(target, body)
}

func (p *played) Apply(target host.Object, body, _ string) (string, error) {
	return p.apply(target, body)
}

func (p *played) Replace(target host.Object, body, _ string) (string, error) {
	return p.replace(target, body)
}

func (p *played) Patch(target host.Object, kind, body, _ string) (string, error) {
	return p.patch(target, kind, body)
}

func (p *played) Remove(target host.Object, options string) (string, error) {
	return p.remove(target, options)
}

func (p *played) Exec(pod host.Object, _ string, command []string, _ string) (host.Program, error) {
	return p.exec(pod, command)
}

func (p *played) Send(request host.Request) (host.Answer, error) { return p.send(request) }

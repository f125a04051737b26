//go:build !wasip1

package host

import "time"

// Outside is a host that a test plays.
type Outside interface {
	Enabled(level Level) bool
	Write(level Level, message string, fields []Field)
	RemainingMs() uint64
	StopRequested() (reason string, asked bool)
	Progress(done, total uint64, message string)
	Note(value string) error
	Sleep(time.Duration)

	Resources() (string, error)
	Get(target Object, options string) (string, error)
	List(kind Resource, scope Scope, options string) (Pages, error)
	Watch(kind Resource, scope Scope, options string) (Events, error)
	ReadLog(pod Object, options string) (Stream, error)
	Create(target Object, body, options string) (string, error)
	Apply(target Object, body, options string) (string, error)
	Replace(target Object, body, options string) (string, error)
	Patch(target Object, kind, body, options string) (string, error)
	Remove(target Object, options string) (string, error)
	Exec(pod Object, container string, command []string, options string) (Program, error)

	Send(Request) (Answer, error)
}

var outside Outside

// Attach makes `played` the host of everything from here on.
func Attach(played Outside) { outside = played }

func here() Outside {
	if outside == nil {
		panic("there is no agent here: in a test, make a host with claiflowtest.NewHost")
	}
	return outside
}

// Enabled says whether anybody would see a line of this level.
func Enabled(level Level) bool { return here().Enabled(level) }

// Write writes a log line.
func Write(level Level, message string, fields []Field) { here().Write(level, message, fields) }

// RemainingMs are the wall-clock milliseconds that are left.
func RemainingMs() uint64 { return here().RemainingMs() }

// StopRequested answers why the call should end, if it should.
func StopRequested() (string, bool) { return here().StopRequested() }

// Progress shows how far the command is.
func Progress(done, total uint64, message string) { here().Progress(done, total, message) }

// Note leaves JSON text for the next attempt.
func Note(value string) error { return here().Note(value) }

// Sleep waits without using CPU time.
func Sleep(duration time.Duration) { here().Sleep(duration) }

// Resources answers a JSON array of what the plugin may touch.
func Resources() (string, error) { return here().Resources() }

// Get answers one object.
func Get(target Object, options string) (string, error) { return here().Get(target, options) }

// List begins a list.
func List(kind Resource, scope Scope, options string) (Pages, error) {
	return here().List(kind, scope, options)
}

// Watch begins a watch.
func Watch(kind Resource, scope Scope, options string) (Events, error) {
	return here().Watch(kind, scope, options)
}

// ReadLog opens a container's log.
func ReadLog(pod Object, options string) (Stream, error) { return here().ReadLog(pod, options) }

// Create makes an object.
func Create(target Object, body, options string) (string, error) {
	return here().Create(target, body, options)
}

// Apply applies on the server's side.
func Apply(target Object, body, options string) (string, error) {
	return here().Apply(target, body, options)
}

// Replace puts a body in an object's place.
func Replace(target Object, body, options string) (string, error) {
	return here().Replace(target, body, options)
}

// Patch changes an object.
func Patch(target Object, kind, body, options string) (string, error) {
	return here().Patch(target, kind, body, options)
}

// Remove removes one object.
func Remove(target Object, options string) (string, error) { return here().Remove(target, options) }

// Exec starts a program in a container.
func Exec(pod Object, container string, command []string, options string) (Program, error) {
	return here().Exec(pod, container, command, options)
}

// Send sends a request and reads the answer.
func Send(request Request) (Answer, error) { return here().Send(request) }

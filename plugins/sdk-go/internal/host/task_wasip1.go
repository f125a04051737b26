package host

import (
	"runtime"
	"time"
	"unsafe"
)

//go:wasmimport claiflow:plugin/log@1.0.0 enabled
func logEnabled(level uint32) uint32

//go:wasmimport claiflow:plugin/log@1.0.0 write
func logWrite(level uint32, message string, fields unsafe.Pointer, length uint32)

//go:wasmimport claiflow:plugin/task@1.0.0 remaining-ms
func taskRemainingMs() uint64

//go:wasmimport claiflow:plugin/task@1.0.0 stop-requested
func taskStopRequested(result unsafe.Pointer)

//go:wasmimport claiflow:plugin/task@1.0.0 progress
func taskProgress(done, total uint64, message string)

//go:wasmimport claiflow:plugin/task@1.0.0 note
func taskNote(value string, result unsafe.Pointer)

// Enabled says whether anybody would see a line of this level.
func Enabled(level Level) bool { return logEnabled(uint32(level)) != 0 }

// Write writes a log line.
func Write(level Level, message string, fields []Field) {
	list := make([][2]pair, len(fields))
	for at, field := range fields {
		list[at] = [2]pair{pairOf(field.Name), pairOf(field.Value)}
	}
	logWrite(uint32(level), message, unsafe.Pointer(unsafe.SliceData(list)), uint32(len(list)))
	runtime.KeepAlive(fields)
}

// RemainingMs are the wall-clock milliseconds that are left.
func RemainingMs() uint64 { return taskRemainingMs() }

// StopRequested answers why the call should end, if it should.
func StopRequested() (string, bool) {
	result := begin()
	defer result.end()
	taskStopRequested(result.place())
	if !result.isSet(0) {
		return "", false
	}
	return result.text(4), true
}

// Progress shows how far the command is.
func Progress(done, total uint64, message string) { taskProgress(done, total, message) }

// Note leaves JSON text for the next attempt.
func Note(value string) error {
	result := begin()
	defer result.end()
	taskNote(value, result.place())
	return result.done()
}

// Sleep waits without using CPU time: Go's runtime polls a clock of WASI.
func Sleep(duration time.Duration) { time.Sleep(duration) }

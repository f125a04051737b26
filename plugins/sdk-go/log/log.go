// Package log writes log lines: stored with the task, and sent to the agent's log. What a plugin prints arrives there too.
package log

import (
	"fmt"

	"claiflow/internal/host"
)

// Level of a line.
type Level = host.Level

// The levels.
const (
	LevelTrace = host.Trace
	LevelDebug = host.Debug
	LevelInfo  = host.Info
	LevelWarn  = host.Warn
	LevelError = host.Error
)

// Enabled says whether anybody would see a line of this level: ask before making an expensive one.
func Enabled(level Level) bool { return host.Enabled(level) }

// Trace is for every step of the way; fields are names and values in turn.
func Trace(message string, fields ...any) { write(host.Trace, message, fields) }

// Debug is for who looks for a fault.
func Debug(message string, fields ...any) { write(host.Debug, message, fields) }

// Info says what happens.
func Info(message string, fields ...any) { write(host.Info, message, fields) }

// Warn says what somebody should look at.
func Warn(message string, fields ...any) { write(host.Warn, message, fields) }

// Error says what went wrong.
func Error(message string, fields ...any) { write(host.Error, message, fields) }

func write(level Level, message string, fields []any) {
	if !host.Enabled(level) {
		return
	}
	named := make([]host.Field, 0, (len(fields)+1)/2)
	for at := 0; at < len(fields); at += 2 {
		value := ""
		if at+1 < len(fields) {
			value = fmt.Sprint(fields[at+1])
		}
		named = append(named, host.Field{Name: fmt.Sprint(fields[at]), Value: value})
	}
	host.Write(level, message, named)
}

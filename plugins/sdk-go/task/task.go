// Package task is the running task.
package task

import (
	"encoding/json"
	"time"

	"claiflow"
	"claiflow/internal/host"
)

// A sleep is as long as this before it asks again whether the command should end.
const piece = 100 * time.Millisecond

// Remaining is the wall-clock time that is left of the smallest limit of step, task and plugin.
func Remaining() time.Duration { return time.Duration(host.RemainingMs()) * time.Millisecond }

// StopRequested answers why the call should end, if it should.
func StopRequested() (reason string, asked bool) { return host.StopRequested() }

// KeepGoing is nil, or `stopped` once the command should end: return it.
func KeepGoing() error {
	if reason, asked := host.StopRequested(); asked {
		return claiflow.Errorf("stopped", "asked to stop: %s", reason)
	}
	return nil
}

// Sleep sleeps without using CPU time, and ends with `stopped` once the command should end: return it.
func Sleep(duration time.Duration) error {
	if err := KeepGoing(); err != nil {
		return err
	}
	for left := duration; left > 0; left -= piece {
		host.Sleep(min(left, piece))
		if err := KeepGoing(); err != nil {
			return err
		}
	}
	return nil
}

// Progress shows how far the command is, at most once a second; a total of 0 means that nobody knows.
func Progress(done, total uint64, message string) { host.Progress(done, total, message) }

// Note leaves a note for the next attempt and for Verify: whatever encoding/json writes. It is durable when this returns nil. 16 notes,
// 4 KiB each.
func Note(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return claiflow.Errorf("failed", "a note is not JSON: %w", err)
	}
	if err := host.Note(string(text)); err != nil {
		return claiflow.AsError(err)
	}
	return nil
}

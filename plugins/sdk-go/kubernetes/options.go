package kubernetes

import (
	"encoding/json"

	"claiflow"
)

// Options of a call; which ones count says the method, and any other is `invalid`.
type Options struct {
	// Fields are the only paths to read, such as `metadata.name`.
	Fields []string `json:"fields,omitempty"`
	// Labels that objects have.
	Labels map[string]string `json:"labels,omitempty"`
	// FieldSelector as of the API server.
	FieldSelector string `json:"field-selector,omitempty"`
	// Limit is how many objects at most; 0 is all of them.
	Limit uint32 `json:"limit,omitempty"`
	// MetadataOnly leaves out all but names and metadata.
	MetadataOnly bool `json:"metadata-only,omitempty"`
	// ResourceVersion to watch from, or that an object must have to be removed.
	ResourceVersion string `json:"resource-version,omitempty"`

	// Container, Previous, Follow, TailLines, SinceSeconds and Timestamps are of a log.
	Container    string `json:"container,omitempty"`
	Previous     bool   `json:"previous,omitempty"`
	Follow       bool   `json:"follow,omitempty"`
	TailLines    uint32 `json:"tail-lines,omitempty"`
	SinceSeconds uint32 `json:"since-seconds,omitempty"`
	Timestamps   bool   `json:"timestamps,omitempty"`

	// DryRun changes nothing, and answers as if.
	DryRun bool `json:"dry-run,omitempty"`
	// Force takes fields over from other managers; it needs the verb `force-apply`.
	Force bool `json:"force,omitempty"`
	// UID that an object must have to be removed.
	UID string `json:"uid,omitempty"`
	// Propagation is `Foreground`, `Background` or `Orphan`.
	Propagation string `json:"propagation,omitempty"`
	// GraceSeconds before what is removed ends; nil is what the object says.
	GraceSeconds *uint32 `json:"grace-seconds,omitempty"`

	// Stdin opens a program's input; Tty gives it a terminal.
	Stdin bool `json:"stdin,omitempty"`
	Tty   bool `json:"tty,omitempty"`
}

// textOf is the contract's text of the options, of which a caller gives one or none.
func textOf(options []Options) (string, error) {
	var given Options
	switch len(options) {
	case 0:
		return "{}", nil
	case 1:
		given = options[0]
	default:
		return "", claiflow.Errorf("invalid", "a call takes its options once, not %d times", len(options))
	}
	text, err := json.Marshal(given)
	if err != nil {
		return "", claiflow.AsError(err)
	}
	return string(text), nil
}

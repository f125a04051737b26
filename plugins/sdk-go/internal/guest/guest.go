// Package guest is the way of a call into a plugin: package claiflow puts its functions here, and the component's exports, the tests of
// authors and `build-plugin` take them from here.
package guest

import (
	"encoding/json"

	"claiflow/internal/host"
)

// About is what the plugin's manifest says of it.
type About struct {
	Name    string          `json:"name"`
	Version string          `json:"version"`
	Config  json.RawMessage `json:"config,omitempty"`
}

// Plugin is the one that is being built.
var Plugin = About{Name: "plugin", Version: "0.0.0"}

var (
	// Describe answers what an agent learns when it loads the plugin, or what is wrong with a command.
	Describe func() (string, error)
	// Run runs a command; it answers the result's JSON text, or why it failed.
	Run func(command, inputs, context string) (string, *host.Failure)
	// Verify asks whether an earlier attempt took effect; it answers the verdict's JSON text.
	Verify func(command, inputs, context string) (string, *host.Failure)
)

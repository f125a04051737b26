// Package build is for `build-plugin`, which adds to a plugin what its manifest says; authors do not use it.
package build

import (
	"encoding/json"
	"fmt"
	"os"

	// Serves commands, none of them where the author did not import it.
	_ "claiflow"
	"claiflow/internal/guest"
)

// Plugin takes the manifest's name, version and schema of settings, as JSON text.
func Plugin(about string) {
	if err := json.Unmarshal([]byte(about), &guest.Plugin); err != nil {
		panic(err)
	}
}

// Describe writes what an agent learns of the plugin into a file and ends the program.
func Describe(path string) {
	text, err := guest.Describe()
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

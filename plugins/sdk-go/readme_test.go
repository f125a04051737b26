package claiflow_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

func TestThePluginOnThePageWorksAndPassesItsTest(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	sdk, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) != 2 {
		t.Fatalf("the page has %d blocks of Go, and should have a plugin and its test", len(blocks))
	}
	folder := t.TempDir()
	imports := "package main\n\nimport (\n\t\"reflect\"\n\t\"testing\"\n\n\t\"claiflow/claiflowtest\"\n)\n\n"
	for name, text := range map[string]string{
		"go.mod":       "module sweeper\n\ngo 1.24\n\nrequire claiflow v0.0.0\n\nreplace claiflow => " + sdk + "\n",
		"main.go":      string(blocks[0][1]),
		"main_test.go": imports + string(blocks[1][1]),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, arguments := range [][]string{{"vet", "."}, {"test", "."}} {
		command := exec.Command("go", arguments...)
		command.Dir = folder
		if said, err := command.CombinedOutput(); err != nil {
			t.Errorf("go %v: %v\n%s", arguments, err, said)
		}
	}
}

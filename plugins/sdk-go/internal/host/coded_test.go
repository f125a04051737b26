package host

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestTheHostsTextIsACodeAndAMessage(t *testing.T) {
	for text, expected := range map[string]Failure{
		"denied: no entry: really": {Code: "denied", Message: "no entry: really"},
		"Denied: no entry":         {Code: "failed", Message: "Denied: no entry"},
		"no code":                  {Code: "failed", Message: "no code"},
		": nothing":                {Code: "failed", Message: ": nothing"},
	} {
		if said := coded(text).(*Failure); *said != expected {
			t.Errorf("%q is %v", text, said)
		}
	}
}

func TestTheErrorsOfARequestAreThoseOfWASIInItsOrder(t *testing.T) {
	text, err := os.ReadFile("../../../../wit/deps/http.wit")
	if err != nil {
		t.Fatal(err)
	}
	_, variant, _ := strings.Cut(string(text), "variant error-code {")
	variant, _, _ = strings.Cut(variant, "\n  }")
	cases := regexp.MustCompile(`(?m)^    ([A-Za-z-]+)[,(]`).FindAllStringSubmatch(variant, -1)
	if len(cases) != len(errorCodes) || errorCodes[internalError] != "InternalError" {
		t.Fatalf("%d cases, %d names", len(cases), len(errorCodes))
	}
	for at, it := range cases {
		if name := strings.ReplaceAll(it[1], "-", ""); !strings.EqualFold(name, errorCodes[at]) {
			t.Errorf("%s is %s", name, errorCodes[at])
		}
	}
}

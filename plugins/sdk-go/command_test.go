package claiflow

import (
	"reflect"
	"strings"
	"testing"
)

func TestWhatCannotBeDescribedIsSaid(t *testing.T) {
	text := reflect.TypeFor[string]()
	ask := func(*Call, string) (any, error) { return nil, nil }
	for part, wrong := range map[string]*command{
		"go together":  {name: "a", options: Options{Effect: Verify}, in: text, out: text},
		"`.Verify(…)`": {name: "a", options: Options{Effect: Read}, in: text, out: text, verify: ask},
		"`Inputs`":     {name: "a", in: reflect.TypeFor[chan int](), out: text},
		"`Outputs`":    {name: "a", in: text, out: reflect.TypeFor[chan int]()},
	} {
		if _, err := wrong.described(); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", part, err)
		}
	}
}

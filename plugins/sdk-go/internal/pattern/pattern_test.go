package pattern

import (
	"reflect"
	"strings"
	"testing"
)

func TestNamesAreThoseOfTheAgent(t *testing.T) {
	for _, name := range []string{"math_pow", "restart.run", "a-b.c_d.1", "kubernetes.{resource}.{verb+}"} {
		if fault := Fault(name); fault != "" {
			t.Errorf("%s: %s", name, fault)
		}
	}
	for _, name := range []string{"", ".a", "a.", "a..b", "ä", "a{x}", "{}", "{a-b}", "a.{x+}.b", strings.Repeat("x", 129)} {
		if Fault(name) == "" {
			t.Errorf("%q has no fault", name)
		}
	}
}

func TestPlacesTakeSegments(t *testing.T) {
	for _, it := range []struct {
		pattern, name string
		taken         map[string]string
	}{
		{"a.{x}.{y+}", "a.b.c.d", map[string]string{"x": "b", "y": "c.d"}},
		{"a.b", "a.b", map[string]string{}},
		{"a.{x}", "a.b.c", nil},
		{"a.{x}", "a.", nil},
		{"a.{x}", "b.c", nil},
		{"a.{x}.{y+}", "a.b", nil},
	} {
		if taken := Captures(it.pattern, it.name); !reflect.DeepEqual(taken, it.taken) {
			t.Errorf("%s takes %v of %s", it.pattern, taken, it.name)
		}
	}
}

// Package claiflow makes plugins of claiflow: a command is a function from its inputs to its result.
//
//	func init() {
//		claiflow.Command("greet", claiflow.Options{Effect: claiflow.Read, Summary: "Greets a person"},
//			func(_ *claiflow.Call, in struct{ Name string `json:"name"` }) (string, error) {
//				return "hello " + in.Name, nil
//			})
//	}
//
//	func main() {}
package claiflow

import (
	"fmt"
	"reflect"

	"claiflow/internal/pattern"
)

// Effect says what may happen twice when an agent dies in the middle of a call.
type Effect string

// The classes of effects.
const (
	// Read changes nothing: run again.
	Read Effect = "read"
	// Idempotent has the same effect when it runs again.
	Idempotent Effect = "idempotent"
	// Verify is asked first, by what Verify of the command answers.
	Verify Effect = "verify"
	// Never runs again: a person settles the task.
	Never Effect = "never"
)

// Rule of an effect that depends on the inputs: the first whose condition holds decides.
type Rule struct {
	// When is a jq expression over the inputs; the last rule has none.
	When   string `json:"when,omitempty"`
	Effect Effect `json:"effect"`
}

// Options of a command.
type Options struct {
	// Effect of every call; empty is Never.
	Effect Effect
	// Rules in place of Effect, where it depends on the inputs.
	Rules []Rule
	// Summary for people, one sentence.
	Summary string
	// Inputs is a JSON Schema in place of the one of the function's type: whatever encoding/json writes as one.
	Inputs any
	// Outputs is the same for the result.
	Outputs any
}

// Served is a command that is served.
type Served[In any] struct{ command *command }

// Command serves a command from here on; call it in `init`. The inputs are a struct with `json` tags, or a map.
//
// A field must be there unless it is a pointer, has `omitempty` or `omitzero`, or a tag `default:"1"`. The tags `enum:"a,b"`, `min:"1"`,
// `max:"9"` limit values, and `doc:"…"` describes them. `{place}` between the dots of the name takes one segment, `{place+}` at the end
// one or more.
//
// It panics where the name or the effect is wrong, or the command is there already: the plugin does not build.
func Command[In, Out any](name string, options Options, run func(*Call, In) (Out, error)) *Served[In] {
	fault := pattern.Fault(name)
	if fault == "" {
		fault = options.fault()
	}
	if _, isThere := commands[name]; isThere {
		fault = "it is there already"
	}
	if fault != "" {
		panic(fmt.Sprintf("command %q: %s", name, fault))
	}
	served := &command{
		name: name, options: options,
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
		run: func(call *Call, inputs string) (any, error) {
			in, err := decoded[In](inputs)
			if err != nil {
				return nil, err
			}
			out, err := run(call, in)
			if err != nil {
				return nil, err
			}
			return &out, nil
		},
	}
	commands[name] = served
	order = append(order, served)
	return &Served[In]{served}
}

// Verify names the function that tells whether an earlier attempt of a call took effect. It is asked with the same inputs, the effect key
// and the notes of the call, and may change nothing.
func (s *Served[In]) Verify(ask func(*Call, In) (Verdict, error)) *Served[In] {
	s.command.verify = func(call *Call, inputs string) (any, error) {
		in, err := decoded[In](inputs)
		if err != nil {
			return nil, err
		}
		verdict, err := ask(call, in)
		if err != nil {
			return nil, err
		}
		return verdict.contract(), nil
	}
	return s
}

// fault is what is wrong with the effect, or empty.
func (o Options) fault() string {
	rules := o.Rules
	if rules == nil {
		rules = []Rule{{Effect: o.effect()}}
	}
	if o.Rules != nil && (o.Effect != "" || len(rules) == 0) {
		return "`Effect` or `Rules`, not both, and `Rules` are not empty"
	}
	for at, rule := range rules {
		switch rule.Effect {
		case Read, Idempotent, Verify, Never:
		default:
			return `an effect is one of "read", "idempotent", "verify", "never"`
		}
		if (rule.When != "") == (at == len(rules)-1) {
			return "each rule of `Rules` but the last has `When`; the last catches every other call"
		}
	}
	return ""
}

func (o Options) effect() Effect {
	if o.Effect == "" {
		return Never
	}
	return o.Effect
}

func (o Options) verifies() bool {
	for _, rule := range o.Rules {
		if rule.Effect == Verify {
			return true
		}
	}
	return o.Effect == Verify
}

package claiflow

// Verdict says whether an earlier attempt of a call took effect.
type Verdict struct {
	verdict string
	output  any
	why     string
}

// Done gives the step this output: the call took effect.
func Done(output any) Verdict { return Verdict{verdict: "done", output: output} }

// NotDone lets the call run again: it did not take effect.
func NotDone() Verdict { return Verdict{verdict: "not-done"} }

// Unknown leaves it to a person, with the reason.
func Unknown(why string) Verdict { return Verdict{verdict: "unknown", why: why} }

func (v Verdict) contract() map[string]any {
	switch v.verdict {
	case "done":
		return map[string]any{"verdict": v.verdict, "output": v.output}
	case "not-done":
		return map[string]any{"verdict": v.verdict}
	default:
		return map[string]any{"verdict": "unknown", "why": v.why}
	}
}

package host

import "unsafe"

// Taken is a parameter of an export, copied.
func Taken(pointer, length uint32) string { return string(given(pointer, length)) }

// GivenText is a text as an export answers it.
func GivenText(text string) unsafe.Pointer {
	answer := pairOf(text)
	return held(&answer, text)
}

// GivenAnswer is a `result<json, failure>` as an export answers it.
func GivenAnswer(text string, failure *Failure) unsafe.Pointer {
	if failure == nil {
		return held(&struct {
			isFailed uint32
			text     pair
		}{0, pairOf(text)}, text)
	}
	return held(&struct {
		isFailed      uint32
		code, message pair
		hasDetails    uint32
		details       pair
	}{1, pairOf(failure.Code), pairOf(failure.Message), flag(failure.Details != ""), pairOf(failure.Details)}, failure)
}

// What the host reads after an export has ended.
var answered []any

func held[T any](answer *T, parts ...any) unsafe.Pointer {
	answered = append(answered, answer, parts)
	return unsafe.Pointer(answer)
}

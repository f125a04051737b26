// Package pattern reads commands with places in their names, as the agent reads them: cut at the dots, `{x}` takes one segment, `{x+}`
// at the end takes one or more.
package pattern

import "strings"

const nameMaxBytes = 128

// Fault is why `name` is no name of a command and no pattern, or empty.
func Fault(name string) string {
	if name == "" {
		return "a command has a name"
	}
	if len(name) > nameMaxBytes {
		return "a command's name has at most 128 bytes"
	}
	segments := strings.Split(name, ".")
	for at, segment := range segments {
		_, isRest, isPlace := place(segment)
		if !isPlace && !isWord(segment, true) {
			return "between the dots of a command's name stand ASCII letters, digits, `_` and `-`, or one place such as `{name}`"
		}
		if isRest && at < len(segments)-1 {
			return "a place with `+` takes all that is left, so nothing may follow it"
		}
	}
	return ""
}

// Is says whether a name has places.
func Is(name string) bool { return strings.Contains(name, "{") }

// Words counts what is no place: of several patterns that match, the one with the most words serves.
func Words(pattern string) int {
	count := 0
	for _, segment := range strings.Split(pattern, ".") {
		if !strings.HasPrefix(segment, "{") {
			count++
		}
	}
	return count
}

// Captures are what the places of `pattern` took from `command`, or nil where it does not match.
func Captures(pattern, command string) map[string]string {
	rest := strings.Split(command, ".")
	taken := map[string]string{}
	for _, segment := range strings.Split(pattern, ".") {
		if len(rest) == 0 || rest[0] == "" {
			return nil
		}
		name, isRest, isPlace := place(segment)
		switch {
		case !isPlace && segment != rest[0]:
			return nil
		case isRest:
			taken[name], rest = strings.Join(rest, "."), nil
			continue
		case isPlace:
			taken[name] = rest[0]
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		return nil
	}
	return taken
}

// place is the name in `{name}` or `{name+}`.
func place(segment string) (name string, isRest, isPlace bool) {
	inner, isOpen := strings.CutPrefix(segment, "{")
	inner, isClosed := strings.CutSuffix(inner, "}")
	name, isRest = strings.CutSuffix(inner, "+")
	isPlace = isOpen && isClosed && isWord(name, false)
	return name, isPlace && isRest, isPlace
}

func isWord(text string, withDash bool) bool {
	for _, letter := range []byte(text) {
		isLetter := 'a' <= letter && letter <= 'z' || 'A' <= letter && letter <= 'Z' || '0' <= letter && letter <= '9'
		if !isLetter && letter != '_' && !(withDash && letter == '-') {
			return false
		}
	}
	return text != ""
}

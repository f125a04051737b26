package claiflowtest

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// merged is RFC 7386.
func merged(before, change any) any {
	changes, is := change.(map[string]any)
	if !is {
		return change
	}
	after, is := before.(map[string]any)
	if !is {
		after = object{}
	}
	for name, value := range changes {
		if value == nil {
			delete(after, name)
		} else {
			after[name] = merged(after[name], value)
		}
	}
	return after
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// operated is RFC 6902, without `move` and `copy`.
func operated(it any, text string) (any, error) {
	var operations []operation
	if err := json.Unmarshal([]byte(text), &operations); err != nil {
		return nil, invalid("a JSON patch is a list of operations")
	}
	for _, operation := range operations {
		path := strings.Split(operation.Path, "/")[1:]
		after, err := operation.on(it, path)
		if err != nil {
			return nil, err
		}
		it = after
	}
	return it, nil
}

// on is a value after the operation at a path below it.
func (o operation) on(value any, path []string) (any, error) {
	if len(path) == 0 {
		if o.Op == "test" && !reflect.DeepEqual(value, o.Value) {
			return nil, invalid("the test of " + o.Path + " does not hold")
		}
		if o.Op == "test" {
			return value, nil
		}
		return o.Value, nil
	}
	key := strings.NewReplacer("~1", "/", "~0", "~").Replace(path[0])
	switch within := value.(type) {
	case map[string]any:
		inner, isThere := within[key]
		if !isThere && (len(path) > 1 || o.Op != "add") {
			return nil, o.missing()
		}
		if len(path) == 1 && o.Op == "remove" {
			delete(within, key)
			return within, nil
		}
		after, err := o.on(inner, path[1:])
		within[key] = after
		return within, err
	case []any:
		return o.onList(within, key, path)
	default:
		return nil, o.missing()
	}
}

func (o operation) onList(list []any, key string, path []string) (any, error) {
	at, err := strconv.Atoi(key)
	if key == "-" {
		at, err = len(list), nil
	}
	isAdded := len(path) == 1 && o.Op == "add"
	if err != nil || at < 0 || at > len(list) || at == len(list) && !isAdded {
		return nil, o.missing()
	}
	switch {
	case isAdded:
		return append(list[:at:at], append([]any{o.Value}, list[at:]...)...), nil
	case len(path) == 1 && o.Op == "remove":
		return append(list[:at:at], list[at+1:]...), nil
	default:
		list[at], err = o.on(list[at], path[1:])
		return list, err
	}
}

func (o operation) missing() error { return invalid("the path " + o.Path + " is not there") }

func invalid(message string) error {
	return refusal("invalid", message, map[string]any{"status": 422, "reason": "Invalid"})
}

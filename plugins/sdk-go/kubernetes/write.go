package kubernetes

import (
	"encoding/json"

	"claiflow"
	"claiflow/internal/host"
)

// Create makes an object; its name is in the body, which is whatever encoding/json writes. Of the options, DryRun and Fields count, as in
// all that changes something.
func (a Api[T]) Create(body any, options ...Options) (T, error) {
	text, err := bodyOf(body)
	if err != nil {
		return *new(T), err
	}
	var named struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	// What is no object, the host refuses with better words.
	_ = json.Unmarshal([]byte(text), &named)
	return a.write(named.Metadata.Name, text, options, host.Create)
}

// Apply applies on the server's side. The option Force needs the verb `force-apply`.
func (a Api[T]) Apply(name string, body any, options ...Options) (T, error) {
	text, err := bodyOf(body)
	if err != nil {
		return *new(T), err
	}
	return a.write(name, text, options, host.Apply)
}

// Replace puts the body in place of the object. It needs `metadata.resourceVersion`.
func (a Api[T]) Replace(name string, body any, options ...Options) (T, error) {
	text, err := bodyOf(body)
	if err != nil {
		return *new(T), err
	}
	return a.write(name, text, options, host.Replace)
}

// Patch changes the object; the kind of patch is `json`, `merge` or `strategic`.
func (a Api[T]) Patch(name, kind string, body any, options ...Options) (T, error) {
	text, err := bodyOf(body)
	if err != nil {
		return *new(T), err
	}
	return a.write(name, text, options, func(target host.Object, body, options string) (string, error) {
		return host.Patch(target, kind, body, options)
	})
}

// Remove removes one object. Of the options, UID, ResourceVersion, Propagation, GraceSeconds and DryRun count.
func (a Api[T]) Remove(name string, options ...Options) (Object, error) {
	target, text, err := a.asked(name, options)
	if err != nil {
		return nil, err
	}
	return read[Object](host.Remove(target, text))
}

func (a Api[T]) write(name, body string, options []Options, call func(host.Object, string, string) (string, error)) (T, error) {
	target, text, err := a.asked(name, options)
	if err != nil {
		return *new(T), err
	}
	return read[T](call(target, body, text))
}

func bodyOf(body any) (string, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return "", claiflow.Errorf("invalid", "the body is not JSON: %w", err)
	}
	return string(text), nil
}

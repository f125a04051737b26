// Package kubernetes is the cluster's API, as far as the operator granted it. It needs "kubernetes" among the capabilities,
// "kubernetes-write" and "kubernetes-exec" for what changes something.
//
// Every error is a *claiflow.Error: `denied`, `not-found`, `conflict`, `unavailable`, ….
package kubernetes

import (
	"encoding/json"

	"claiflow"
	"claiflow/internal/host"
)

// Object is any object. What you read of objects can be a struct of your own: `Api[Pod]`.
type Object = map[string]any

// Resource is a kind, by its plural.
type Resource struct {
	// Group is empty for the core group.
	Group string
	// Version may be empty: the one that the API server prefers.
	Version string
	// Plural is such as `pods`.
	Plural string
	// Subresource is empty, or `status`, `scale`, ….
	Subresource string
}

// Api is one resource in one place, whose objects are read as T.
type Api[T any] struct {
	resource Resource
	scope    host.Scope
}

// InNamespace are objects of a kind that lies in namespaces, in one of them.
func InNamespace[T any](resource Resource, namespace string) Api[T] {
	return Api[T]{resource, host.Scope{Place: host.InNamespace, Namespace: namespace}}
}

// OfCluster are objects of a kind that lies in no namespace.
func OfCluster[T any](resource Resource) Api[T] {
	return Api[T]{resource, host.Scope{Place: host.InCluster}}
}

// Granted are objects in every namespace that the grant names: to list and to watch.
func Granted[T any](resource Resource) Api[T] {
	return Api[T]{resource, host.Scope{Place: host.Granted}}
}

// Reach is what this plugin may touch here: what the grant names and the cluster has.
func Reach() ([]Object, error) {
	return read[[]Object](host.Resources())
}

// Sub is the same objects' subresource, such as `scale`.
func (a Api[T]) Sub(subresource string) Api[T] {
	a.resource.Subresource = subresource
	return a
}

// Get reads one object. Of the options, Fields counts.
func (a Api[T]) Get(name string, options ...Options) (T, error) {
	target, text, err := a.asked(name, options)
	if err != nil {
		return *new(T), err
	}
	return read[T](host.Get(target, text))
}

// Find reads one object, and answers nil where there is none of this name.
func (a Api[T]) Find(name string, options ...Options) (*T, error) {
	found, err := a.Get(name, options...)
	if err == nil {
		return &found, nil
	}
	// A kind that is not known has no answer of the API server.
	if said := claiflow.AsError(err); said.Code == "not-found" && said.Details["status"] == float64(404) {
		return nil, nil
	}
	return nil, err
}

func (a Api[T]) kind() host.Resource { return host.Resource(a.resource) }

func (a Api[T]) asked(name string, options []Options) (host.Object, string, error) {
	target := host.Object{Resource: a.kind(), Name: name}
	switch a.scope.Place {
	case host.Granted:
		return target, "", claiflow.Errorf("invalid", "say in which namespace `%s` of %s is", name, a.resource.Plural)
	case host.InNamespace:
		target.Namespace = &a.scope.Namespace
	}
	text, err := textOf(options)
	return target, text, err
}

// read is a host's answer as a value.
func read[T any](text string, err error) (T, error) {
	var value T
	if err != nil {
		return value, claiflow.AsError(err)
	}
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return value, claiflow.Errorf("failed", "the answer does not fit %T: %w", value, err)
	}
	return value, nil
}

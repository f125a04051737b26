package host

import (
	"runtime"
	"unsafe"
)

// More than sixteen flat parameters are handed over in memory.

//go:wasmimport claiflow:plugin/kubernetes-write@1.0.0 create
func writeCreate(parameters, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes-write@1.0.0 apply
func writeApply(parameters, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes-write@1.0.0 replace
func writeReplace(parameters, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes-write@1.0.0 patch
func writePatch(parameters, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes-write@1.0.0 remove
func writeRemove(group, version, plural, subresource string, isNamespaced uint32, namespace, name, options string, result unsafe.Pointer)

// An object as it lies in memory.
type object struct {
	group, version, plural, subresource pair
	isNamespaced                        uint32
	namespace, name                     pair
}

func (o Object) flat() object {
	kind, isNamespaced, namespace := o.parts()
	return object{
		pairOf(kind.Group), pairOf(kind.Version), pairOf(kind.Plural), pairOf(kind.Subresource),
		isNamespaced, pairOf(namespace), pairOf(o.Name),
	}
}

// parameters in memory: an object, and up to three texts.
type parameters struct {
	target object
	texts  [3]pair
}

func (o Object) with(texts ...string) *parameters {
	parameters := &parameters{target: o.flat()}
	for at, text := range texts {
		parameters.texts[at] = pairOf(text)
	}
	return parameters
}

// Create makes an object.
func Create(target Object, body, options string) (string, error) {
	result := begin()
	defer result.end()
	writeCreate(unsafe.Pointer(target.with(body, options)), result.place())
	keep(target, body, options)
	return result.json()
}

// Apply applies on the server's side.
func Apply(target Object, body, options string) (string, error) {
	result := begin()
	defer result.end()
	writeApply(unsafe.Pointer(target.with(body, options)), result.place())
	keep(target, body, options)
	return result.json()
}

// Replace puts a body in an object's place.
func Replace(target Object, body, options string) (string, error) {
	result := begin()
	defer result.end()
	writeReplace(unsafe.Pointer(target.with(body, options)), result.place())
	keep(target, body, options)
	return result.json()
}

// Patch changes an object.
func Patch(target Object, kind, body, options string) (string, error) {
	result := begin()
	defer result.end()
	writePatch(unsafe.Pointer(target.with(kind, body, options)), result.place())
	keep(target, kind, body, options)
	return result.json()
}

// Remove removes one object.
func Remove(target Object, options string) (string, error) {
	result := begin()
	defer result.end()
	kind, isNamespaced, namespace := target.parts()
	writeRemove(kind.Group, kind.Version, kind.Plural, kind.Subresource, isNamespaced, namespace, target.Name, options, result.place())
	return result.json()
}

// keep holds what the host has just read from being collected before.
func keep(target Object, texts ...string) {
	runtime.KeepAlive(target)
	runtime.KeepAlive(texts)
}

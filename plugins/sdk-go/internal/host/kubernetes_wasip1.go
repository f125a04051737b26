package host

import "unsafe"

//go:wasmimport claiflow:plugin/kubernetes@1.0.0 resources
func kubernetesResources(result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes@1.0.0 get
func kubernetesGet(
	group, version, plural, subresource string, isNamespaced uint32, namespace, name, options string, result unsafe.Pointer,
)

//go:wasmimport claiflow:plugin/kubernetes@1.0.0 list-objects
func kubernetesList(group, version, plural, subresource string, place uint32, namespace, options string, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes@1.0.0 [method]listing.next
func listingNext(listing uint32, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes@1.0.0 [resource-drop]listing
func listingDrop(listing uint32)

//go:wasmimport claiflow:plugin/kubernetes@1.0.0 watch
func kubernetesWatch(group, version, plural, subresource string, place uint32, namespace, options string, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes@1.0.0 [method]watching.next
func watchingNext(watching, timeoutMs uint32, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes@1.0.0 [resource-drop]watching
func watchingDrop(watching uint32)

//go:wasmimport claiflow:plugin/kubernetes@1.0.0 read-log
func kubernetesReadLog(
	group, version, plural, subresource string, isNamespaced uint32, namespace, name, options string, result unsafe.Pointer,
)

//go:wasmimport claiflow:plugin/kubernetes@1.0.0 [method]byte-stream.read
func byteStreamRead(stream, maxBytes, timeoutMs uint32, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes@1.0.0 [resource-drop]byte-stream
func byteStreamDrop(stream uint32)

// Resources answers a JSON array of what the plugin may touch.
func Resources() (string, error) {
	result := begin()
	defer result.end()
	kubernetesResources(result.place())
	return result.json()
}

// Get answers one object.
func Get(target Object, options string) (string, error) {
	result := begin()
	defer result.end()
	kind, isNamespaced, namespace := target.parts()
	kubernetesGet(kind.Group, kind.Version, kind.Plural, kind.Subresource, isNamespaced, namespace, target.Name, options, result.place())
	return result.json()
}

// List begins a list.
func List(kind Resource, scope Scope, options string) (Pages, error) {
	result := begin()
	defer result.end()
	kubernetesList(kind.Group, kind.Version, kind.Plural, kind.Subresource, uint32(scope.Place), scope.Namespace, options, result.place())
	handle, err := result.handle()
	return listing(handle), err
}

// Watch begins a watch.
func Watch(kind Resource, scope Scope, options string) (Events, error) {
	result := begin()
	defer result.end()
	kubernetesWatch(kind.Group, kind.Version, kind.Plural, kind.Subresource, uint32(scope.Place), scope.Namespace, options, result.place())
	handle, err := result.handle()
	return watching(handle), err
}

// ReadLog opens a container's log.
func ReadLog(pod Object, options string) (Stream, error) {
	result := begin()
	defer result.end()
	kind, isNamespaced, namespace := pod.parts()
	kubernetesReadLog(kind.Group, kind.Version, kind.Plural, kind.Subresource, isNamespaced, namespace, pod.Name, options, result.place())
	handle, err := result.handle()
	return byteStream(handle), err
}

func (o Object) parts() (kind Resource, isNamespaced uint32, namespace string) {
	if o.Namespace != nil {
		namespace = *o.Namespace
	}
	return o.Resource, flag(o.Namespace != nil), namespace
}

type listing uint32

func (l listing) Next() (string, bool, error) {
	result := begin()
	defer result.end()
	listingNext(uint32(l), result.place())
	if err := result.done(); err != nil || !result.isSet(4) {
		return "", false, err
	}
	return result.text(8), true, nil
}

func (l listing) Drop() { listingDrop(uint32(l)) }

type watching uint32

func (w watching) Next(timeoutMs uint32) (string, error) {
	result := begin()
	defer result.end()
	watchingNext(uint32(w), timeoutMs, result.place())
	return result.json()
}

func (w watching) Drop() { watchingDrop(uint32(w)) }

type byteStream uint32

func (s byteStream) Read(maxBytes, timeoutMs uint32) ([]byte, bool, error) {
	result := begin()
	defer result.end()
	byteStreamRead(uint32(s), maxBytes, timeoutMs, result.place())
	if err := result.done(); err != nil || !result.isSet(4) {
		return nil, false, err
	}
	return result.bytes(8), true, nil
}

func (s byteStream) Drop() { byteStreamDrop(uint32(s)) }

package host

import (
	"runtime"
	"unsafe"
)

//go:wasmimport claiflow:plugin/kubernetes-exec@1.0.0 exec
func execExec(parameters, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes-exec@1.0.0 [method]execution.write
func executionWrite(execution uint32, data string, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes-exec@1.0.0 [method]execution.close-stdin
func executionCloseStdin(execution uint32)

//go:wasmimport claiflow:plugin/kubernetes-exec@1.0.0 [method]execution.read
func executionRead(execution, maxBytes, timeoutMs uint32, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes-exec@1.0.0 [method]execution.status
func executionStatus(execution uint32, result unsafe.Pointer)

//go:wasmimport claiflow:plugin/kubernetes-exec@1.0.0 [resource-drop]execution
func executionDrop(execution uint32)

// Exec starts a program in a container.
func Exec(pod Object, container string, command []string, options string) (Program, error) {
	result := begin()
	defer result.end()
	words := make([]pair, len(command))
	for at, word := range command {
		words[at] = pairOf(word)
	}
	list := pair{address(unsafe.Pointer(unsafe.SliceData(words))), uint32(len(words))}
	parameters := &parameters{target: pod.flat(), texts: [3]pair{pairOf(container), list, pairOf(options)}}
	execExec(unsafe.Pointer(parameters), result.place())
	keep(pod, container, options)
	runtime.KeepAlive(words)
	runtime.KeepAlive(command)
	handle, err := result.handle()
	return execution(handle), err
}

type execution uint32

func (e execution) Write(data []byte) error {
	result := begin()
	defer result.end()
	executionWrite(uint32(e), aloud(data), result.place())
	return result.done()
}

func (e execution) CloseInput() { executionCloseStdin(uint32(e)) }

func (e execution) Read(maxBytes, timeoutMs uint32) (string, []byte, bool, error) {
	result := begin()
	defer result.end()
	executionRead(uint32(e), maxBytes, timeoutMs, result.place())
	if err := result.done(); err != nil || !result.isSet(4) {
		return "", nil, false, err
	}
	return result.text(8), result.bytes(16), true, nil
}

func (e execution) Status() (string, error) {
	result := begin()
	defer result.end()
	executionStatus(uint32(e), result.place())
	return result.json()
}

func (e execution) Drop() { executionDrop(uint32(e)) }

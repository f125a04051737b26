package host

import "unsafe"

//go:wasmimport wasi:http/types@0.2.12 [constructor]fields
func fieldsNew() uint32

//go:wasmimport wasi:http/types@0.2.12 [method]fields.append
func fieldsAppend(fields uint32, name, value string, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [constructor]outgoing-request
func requestNew(headers uint32) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-method
func requestSetMethod(request, method uint32, other string) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-scheme
func requestSetScheme(request, isSet, scheme uint32, other string) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-authority
func requestSetAuthority(request, isSet uint32, authority string) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.set-path-with-query
func requestSetPath(request, isSet uint32, path string) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-request.body
func requestBody(request uint32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [constructor]request-options
func optionsNew() uint32

//go:wasmimport wasi:http/types@0.2.12 [method]request-options.set-connect-timeout
func optionsSetConnect(options, isSet uint32, nanoseconds uint64) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]request-options.set-first-byte-timeout
func optionsSetFirstByte(options, isSet uint32, nanoseconds uint64) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]request-options.set-between-bytes-timeout
func optionsSetBetweenBytes(options, isSet uint32, nanoseconds uint64) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-body.write
func bodyWrite(body uint32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [static]outgoing-body.finish
func bodyFinish(body, hasTrailers, trailers uint32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [method]output-stream.blocking-write-and-flush
func outputWrite(stream uint32, data string, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [resource-drop]output-stream
func outputDrop(stream uint32)

//go:wasmimport wasi:io/error@0.2.12 [resource-drop]error
func errorDrop(failure uint32)

func bodyOf(request uint32) uint32 {
	result := begin()
	defer result.end()
	requestBody(request, result.place())
	return result.word(4)
}

// written says whether the other side took all of it.
func written(upload uint32, data []byte) bool {
	result := begin()
	bodyWrite(upload, result.place())
	stream := result.word(4)
	result.end()
	defer outputDrop(stream)
	for len(data) > 0 {
		piece := data[:min(len(data), pieceMaxBytes)]
		data = data[len(piece):]
		if !outputTook(stream, piece) {
			return false
		}
	}
	return true
}

func outputTook(stream uint32, piece []byte) bool {
	result := begin()
	defer result.end()
	outputWrite(stream, aloud(piece), result.place())
	if !result.isSet(0) {
		return true
	}
	if !result.isSet(4) {
		errorDrop(result.word(8))
	}
	return false
}

func finish(upload uint32) error {
	result := begin()
	defer result.end()
	bodyFinish(upload, 0, 0, result.place())
	return result.refusal(0, 8)
}

package host

import (
	"strconv"
	"strings"
	"unsafe"
)

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-response.status
func responseStatus(response uint32) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-response.headers
func responseHeaders(response uint32) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-response.consume
func responseConsume(response uint32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]incoming-response
func responseDrop(response uint32)

//go:wasmimport wasi:http/types@0.2.12 [method]fields.entries
func fieldsEntries(fields uint32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]fields
func fieldsDrop(fields uint32)

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-body.stream
func incomingStream(body uint32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]incoming-body
func incomingDrop(body uint32)

//go:wasmimport wasi:io/streams@0.2.12 [method]input-stream.blocking-read
func inputRead(stream uint32, length uint64, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [resource-drop]input-stream
func inputDrop(stream uint32)

//go:wasmimport wasi:io/error@0.2.12 [method]error.to-debug-string
func errorToDebugString(failure uint32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 http-error-code
func httpErrorCode(failure uint32, result unsafe.Pointer)

// read reads a response to its end.
func read(response uint32) (Answer, error) {
	defer responseDrop(response)
	answer := Answer{Status: int(responseStatus(response)), Headers: headersOf(response)}
	result := begin()
	responseConsume(response, result.place())
	body := result.word(4)
	incomingStream(body, result.place())
	stream := result.word(4)
	result.end()
	defer incomingDrop(body)
	defer inputDrop(stream)
	answer.Body = make([]byte, 0, lengthOf(answer.Headers))
	for {
		longer, more, err := continued(answer.Body, stream)
		if err != nil || !more {
			return answer, err
		}
		answer.Body = longer
	}
}

// lengthOf is how long the answer says to be, as far as that can be: room that is made once is half of what grows.
func lengthOf(headers []Header) int {
	for _, header := range headers {
		if header.Name == "content-length" {
			length, _ := strconv.ParseUint(header.Value, 10, 32)
			return int(min(length, bodyMaxBytes))
		}
	}
	return 0
}

func continued(body []byte, stream uint32) ([]byte, bool, error) {
	result := begin()
	inputRead(stream, readMaxBytes, result.place())
	isFailed, isClosed, failure := result.isSet(0), result.isSet(4), result.word(8)
	if !isFailed {
		defer result.end()
		return append(body, given(result.word(4), result.word(8))...), true, nil
	}
	result.end()
	if isClosed {
		return nil, false, nil
	}
	defer errorDrop(failure)
	return nil, false, broken(failure)
}

func headersOf(response uint32) []Header {
	fields := responseHeaders(response)
	defer fieldsDrop(fields)
	result := begin()
	defer result.end()
	fieldsEntries(fields, result.place())
	count := result.word(4)
	if count == 0 {
		return nil
	}
	first := given(result.word(0), count*16)
	headers := make([]Header, count)
	for at, entry := range unsafe.Slice((*[2]pair)(unsafe.Pointer(unsafe.SliceData(first))), count) {
		name := strings.ToLower(string(given(entry[0].pointer, entry[0].length)))
		value := string(given(entry[1].pointer, entry[1].length))
		headers[at] = Header{name, strings.ToValidUTF8(value, "\uFFFD")}
	}
	return headers
}

// broken is why a body ended before its end.
func broken(failure uint32) error {
	result := begin()
	defer result.end()
	httpErrorCode(failure, result.place())
	if result.isSet(0) {
		return result.errorCode(8)
	}
	errorToDebugString(failure, result.place())
	first, _, _ := strings.Cut(result.text(0), "\n")
	if said, isInternal := strings.CutPrefix(first, "internal error: "); isInternal {
		return coded(said)
	}
	return &Failure{Code: "unavailable", Message: first}
}

// refusal reads the error of a `result<…, error-code>` at `tag`.
func (a *area) refusal(tag, payload int) error {
	if !a.isSet(tag) {
		return nil
	}
	return a.errorCode(payload)
}

// errorCode reads WASI's `error-code`: its case, and a payload 8 bytes behind it.
func (a *area) errorCode(at int) error {
	number := int(a.tag(at))
	if number == internalError && a.isSet(at+8) {
		return coded(a.text(at + 12))
	}
	name := "an unknown error"
	if number < len(errorCodes) {
		name = errorCodes[number]
	}
	if name == "HttpRequestUriInvalid" || name == "HttpRequestMethodInvalid" {
		return &Failure{Code: "invalid", Message: "the URL or the method is none that can be sent: " + name}
	}
	return &Failure{Code: "unavailable", Message: name}
}

package host

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

const (
	// What is handed over at once; more than the host offers would trap.
	pieceMaxBytes = 4 << 10
	readMaxBytes  = 64 << 10
	// The host gives no longer one.
	bodyMaxBytes = 16 << 20
	// The first cases of WASI's `method`, in its order.
	methods = "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH"
)

//go:wasmimport wasi:http/outgoing-handler@0.2.12 handle
func handlerHandle(request, hasOptions, options uint32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [method]future-incoming-response.subscribe
func futureSubscribe(future uint32) uint32

//go:wasmimport wasi:http/types@0.2.12 [method]future-incoming-response.get
func futureGet(future uint32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]future-incoming-response
func futureDrop(future uint32)

//go:wasmimport wasi:io/poll@0.2.12 [method]pollable.block
func pollableBlock(pollable uint32)

//go:wasmimport wasi:io/poll@0.2.12 [resource-drop]pollable
func pollableDrop(pollable uint32)

// Send sends a request and reads the answer.
func Send(request Request) (Answer, error) {
	prepared, err := prepare(request)
	if err != nil {
		return Answer{}, err
	}
	future, err := handle(prepared, request)
	if err != nil {
		return Answer{}, err
	}
	defer futureDrop(future)
	ready := futureSubscribe(future)
	pollableBlock(ready)
	pollableDrop(ready)
	response, err := got(future)
	if err != nil {
		return Answer{}, err
	}
	return read(response)
}

// handle hands a request over and writes its body.
func handle(prepared uint32, request Request) (uint32, error) {
	var upload uint32
	if len(request.Body) > 0 {
		upload = bodyOf(prepared)
	}
	options, hasOptions := optionsOf(request.Timeout)
	result := begin()
	handlerHandle(prepared, hasOptions, options, result.place())
	future, err := result.word(8), result.refusal(0, 8)
	result.end()
	if err != nil {
		return 0, err
	}
	// Who answers without reading to the end closes the stream: the answer says why.
	if len(request.Body) > 0 && written(upload, request.Body) {
		if err := finish(upload); err != nil {
			return 0, err
		}
	}
	return future, nil
}

// got is the response in a future that is ready.
func got(future uint32) (uint32, error) {
	result := begin()
	defer result.end()
	futureGet(future, result.place())
	if !result.isSet(0) || result.isSet(8) {
		return 0, &Failure{Code: "failed", Message: "the host gave no answer"}
	}
	return result.word(24), result.refusal(16, 24)
}

// prepare makes an outgoing request of everything but the body.
func prepare(request Request) (uint32, error) {
	parts, err := url.Parse(request.URL)
	if err != nil || parts.Scheme == "" || parts.Host == "" {
		return 0, &Failure{Code: "invalid", Message: "`" + request.URL + "` is no absolute URL, such as https://example.com/x"}
	}
	headers, err := fieldsOf(request)
	if err != nil {
		return 0, err
	}
	prepared := requestNew(headers)
	method, otherMethod := caseOf(methods, request.Method)
	scheme, otherScheme := caseOf("http https", parts.Scheme)
	authority := parts.Host
	if parts.User != nil {
		authority = parts.User.String() + "@" + authority
	}
	if requestSetMethod(prepared, method, otherMethod) != 0 ||
		requestSetScheme(prepared, 1, scheme, otherScheme) != 0 ||
		requestSetAuthority(prepared, 1, authority) != 0 ||
		requestSetPath(prepared, 1, parts.RequestURI()) != 0 {
		return 0, &Failure{Code: "invalid", Message: "a request to `" + request.URL + "` cannot be sent: its method, host or path"}
	}
	return prepared, nil
}

// caseOf is the number of a case among known ones, or the one behind them with its text.
func caseOf(known, text string) (uint32, string) {
	cases := strings.Fields(known)
	for at, name := range cases {
		if name == text {
			return uint32(at), ""
		}
	}
	return uint32(len(cases)), text
}

func fieldsOf(request Request) (uint32, error) {
	headers, hasLength := request.Headers, false
	for _, header := range headers {
		hasLength = hasLength || header.Name == "content-length"
	}
	if len(request.Body) > 0 && !hasLength {
		length := Header{"content-length", strconv.Itoa(len(request.Body))}
		headers = append(headers[:len(headers):len(headers)], length)
	}
	fields := fieldsNew()
	for _, header := range headers {
		if !fieldsTook(fields, header) {
			return 0, &Failure{Code: "invalid", Message: "the header `" + header.Name + "` of a request to `" + request.URL + "` cannot be sent"}
		}
	}
	return fields, nil
}

func fieldsTook(fields uint32, header Header) bool {
	result := begin()
	defer result.end()
	fieldsAppend(fields, header.Name, header.Value, result.place())
	return !result.isSet(0)
}

func optionsOf(timeout time.Duration) (options, isSet uint32) {
	if timeout <= 0 {
		return 0, 0
	}
	options = optionsNew()
	optionsSetConnect(options, 1, uint64(timeout))
	optionsSetFirstByte(options, 1, uint64(timeout))
	optionsSetBetweenBytes(options, 1, uint64(timeout))
	return options, 1
}

package claiflowtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"claiflow"
	"claiflow/internal/host"
)

// Sent is a request that a command sent.
type Sent struct {
	Method, URL string
	// Headers by names in small letters.
	Headers map[string]string
	Body    []byte
	Timeout time.Duration
}

// Web is what commands reach over HTTP. What no answer was given for is `denied`, as without a grant.
type Web struct {
	// Sent are the requests so far.
	Sent    []Sent
	answers []scripted
}

type scripted struct {
	method, url string
	answer      host.Answer
	failure     error
}

// Answers gives the next request of that method and URL this answer; headers are names and values in turn. The last one given is answered
// again and again.
func (w *Web) Answers(method, url string, status int, body string, headers ...string) {
	answer := host.Answer{Status: status, Body: []byte(body)}
	for pair := range slices.Chunk(headers, 2) {
		answer.Headers = append(answer.Headers, host.Header{Name: strings.ToLower(pair[0]), Value: strings.Join(pair[1:], "")})
	}
	w.answers = append(w.answers, scripted{method, url, answer, nil})
}

// Fails lets the next request of that method and URL fail.
func (w *Web) Fails(method, url string, err *claiflow.Error) {
	w.answers = append(w.answers, scripted{method, url, host.Answer{}, failure(err)})
}

func (w *Web) send(request host.Request) (host.Answer, error) {
	headers := map[string]string{}
	for _, header := range request.Headers {
		headers[header.Name] = header.Value
	}
	w.Sent = append(w.Sent, Sent{request.Method, request.URL, headers, request.Body, request.Timeout})
	fits := func(it scripted) bool { return it.method == request.Method && it.url == request.URL }
	at := slices.IndexFunc(w.answers, fits)
	if at < 0 {
		return host.Answer{}, refusal("denied", fmt.Sprintf("the plugin may not send %s to %s", request.Method, request.URL), nil)
	}
	answer := w.answers[at]
	if slices.ContainsFunc(w.answers[at+1:], fits) {
		w.answers = slices.Delete(w.answers, at, at+1)
	}
	return answer.answer, answer.failure
}

// Package http sends requests, as far as the operator granted them. It needs "http" among the capabilities. What opens sockets, such as
// net/http, does not work in a component.
//
//	answer, err := http.Get("https://shop.example.com/version").Credential("shop").Send()
//	if err == nil {
//		err = answer.Check()
//	}
//
// A request that is not granted fails with the code `denied` and says what would allow it.
package http

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"claiflow"
	"claiflow/internal/host"
)

const (
	// More hops are a circle.
	hopsMax    = 5
	credential = "claiflow-credential"
)

var (
	// Whose value is for one host only.
	forOneHost = []string{"authorization", credential, "cookie", "proxy-authorization"}
	// What describes a body that is not sent any more.
	ofTheBody = []string{"content-encoding", "content-length", "content-type"}
)

// Request is one that is being made.
type Request struct {
	request host.Request
	stays   bool
	fault   error
}

// New is a request with any method.
func New(method, url string) *Request {
	return &Request{request: host.Request{Method: method, URL: url}}
}

// Get is a GET.
func Get(url string) *Request { return New("GET", url) }

// Post is a POST.
func Post(url string) *Request { return New("POST", url) }

// Header adds a header.
func (r *Request) Header(name, value string) *Request {
	r.request.Headers = append(r.request.Headers, host.Header{Name: strings.ToLower(name), Value: value})
	return r
}

// Body is what is sent.
func (r *Request) Body(body []byte) *Request {
	r.request.Body = body
	return r
}

// JSON sends a value as JSON text.
func (r *Request) JSON(value any) *Request {
	text, err := json.Marshal(value)
	if err != nil {
		r.fault = claiflow.Errorf("invalid", "the body is not JSON: %w", err)
	}
	return r.Header("content-type", "application/json").Body(text)
}

// Credential names one that the operator granted for the URL's host and the method: the host puts it in and cuts it out of the answer.
func (r *Request) Credential(name string) *Request {
	r.without([]string{credential})
	return r.Header(credential, name)
}

// Timeout counts for each step: to connect, to answer, between pieces.
func (r *Request) Timeout(timeout time.Duration) *Request {
	r.request.Timeout = timeout
	return r
}

// Stay follows no redirection.
func (r *Request) Stay() *Request {
	r.stays = true
	return r
}

// Send sends the request and reads the answer, whatever its status.
//
// Up to five redirections are followed, each a new request that has to be granted; what was for the first host alone is not sent to
// another. An error is a *claiflow.Error: `denied`, `invalid`, `unavailable`, `timeout`, `too-large` over 16 MiB, or `stopped`.
func (r *Request) Send() (*Response, error) {
	if r.fault != nil {
		return nil, r.fault
	}
	sent := *r
	sent.request.Headers = slices.Clone(r.request.Headers)
	for range hopsMax + 1 {
		answer, err := host.Send(sent.request)
		if err != nil {
			return nil, claiflow.AsError(err)
		}
		response := &Response{sent.request.URL, answer.Status, answer.Headers, answer.Body}
		location, isThere := response.Header("location")
		if r.stays || !isThere || !isRedirection(answer.Status) {
			return response, nil
		}
		sent.to(answer.Status, strings.TrimSpace(location))
	}
	return nil, claiflow.Errorf("failed", "%s was redirected more than %d times", r.request.URL, hopsMax)
}

func isRedirection(status int) bool {
	return slices.Contains([]int{301, 302, 303, 307, 308}, status)
}

// to makes it the request that a redirection asks for.
func (r *Request) to(status int, location string) {
	request := &r.request
	target := joined(request.URL, location)
	if origin(target) != origin(request.URL) {
		r.without(forOneHost)
	}
	isAnotherMethod := status == 303 && request.Method != "GET" && request.Method != "HEAD"
	if isAnotherMethod || status <= 302 && request.Method == "POST" {
		request.Method, request.Body = "GET", nil
		r.without(ofTheBody)
	}
	request.URL = target
}

func (r *Request) without(names []string) {
	r.request.Headers = slices.DeleteFunc(r.request.Headers, func(header host.Header) bool {
		return slices.Contains(names, header.Name)
	})
}

func joined(base, location string) string {
	from, err := url.Parse(base)
	if err != nil {
		return location
	}
	to, err := from.Parse(location)
	if err != nil {
		// It is none: the host refuses it, and nothing goes with it before.
		return location
	}
	to.Fragment, to.RawFragment = "", ""
	return to.String()
}

func origin(text string) string {
	parts, err := url.Parse(text)
	if err != nil {
		return text
	}
	port := parts.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[parts.Scheme]
	}
	return parts.Scheme + "://" + strings.ToLower(parts.Hostname()) + ":" + port
}

package http

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"claiflow"
	"claiflow/internal/host"
)

var codes = map[int]string{
	400: "invalid", 422: "invalid", 401: "denied", 403: "denied", 404: "not-found", 409: "conflict", 412: "conflict",
	410: "gone", 408: "timeout", 504: "timeout", 429: "unavailable", 502: "unavailable", 503: "unavailable",
}

// Response is an answer that was read to its end.
type Response struct {
	// URL of who answered in the end, after redirections.
	URL string
	// Status is such as 200.
	Status  int
	headers []host.Header
	// Body has at most 16 MiB.
	Body []byte
}

// Header is the first value of a header, and whether there is one.
func (r *Response) Header(name string) (string, bool) {
	for _, header := range r.headers {
		if header.Name == strings.ToLower(name) {
			return header.Value, true
		}
	}
	return "", false
}

// Headers are the first values of all headers, by their names in small letters.
func (r *Response) Headers() map[string]string {
	values := map[string]string{}
	for _, header := range r.headers {
		if _, isThere := values[header.Name]; !isThere {
			values[header.Name] = header.Value
		}
	}
	return values
}

// Check is nil where the status is one of 200 to 299, and otherwise a *claiflow.Error with the status as a detail.
func (r *Response) Check() error {
	if 200 <= r.Status && r.Status <= 299 {
		return nil
	}
	code, isKnown := codes[r.Status]
	if !isKnown {
		code = "failed"
	}
	failed := claiflow.Errorf(code, "%s answered with %d", r.URL, r.Status)
	failed.Details = map[string]any{"status": r.Status}
	after, _ := r.Header("retry-after")
	if seconds, err := strconv.ParseUint(strings.TrimSpace(after), 10, 31); err == nil {
		return failed.RetryAfter(time.Duration(seconds) * time.Second)
	}
	return failed
}

// Text is the body, where it is UTF-8.
func (r *Response) Text() (string, error) {
	if !utf8.Valid(r.Body) {
		return "", claiflow.Errorf("failed", "the answer of %s is no text", r.URL)
	}
	return string(r.Body), nil
}

// JSON reads the body into what `value` points to.
func (r *Response) JSON(value any) error {
	if err := json.Unmarshal(r.Body, value); err != nil {
		return claiflow.Errorf("failed", "the answer of %s does not fit %T: %w", r.URL, value, err)
	}
	return nil
}

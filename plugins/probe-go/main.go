// Some of the calls that the probe in Rust makes, answered in the same words: for a test that whoever calls a command cannot tell its
// language.
package main

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"claiflow"
	"claiflow/http"
	"claiflow/kubernetes"
)

const (
	// How many names of a list are answered.
	namesMax = 20
	// How much of a body is answered.
	bodyMaxChars = 2_000
)

func init() {
	claiflow.Command("probe.run", claiflow.Options{Effect: claiflow.Idempotent, Summary: "Calls whatever is listed"}, run)
}

func main() {}

type calls struct {
	Calls []map[string]json.RawMessage `json:"calls"`
}

type outcome struct {
	Ok    any      `json:"ok,omitempty"`
	Error *failure `json:"error,omitempty"`
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Nil without any.
	Details any `json:"details"`
}

func run(_ *claiflow.Call, in calls) ([]outcome, error) {
	outcomes := make([]outcome, len(in.Calls))
	for at, call := range in.Calls {
		for name, said := range call {
			ok, err := act(name, said)
			if err != nil {
				outcomes[at].Error = failureOf(claiflow.AsError(err))
				continue
			}
			outcomes[at].Ok = ok
		}
	}
	return outcomes, nil
}

func failureOf(err *claiflow.Error) *failure {
	said := &failure{Code: err.Code, Message: err.Message}
	if len(err.Details) > 0 {
		said.Details = err.Details
	}
	return said
}

type at struct {
	Version, Resource string
	Namespace         *string
}

type asked struct {
	At    at
	Name  string
	Kind  string
	Body  json.RawMessage
	Query struct {
		Fields []string
		Labels map[string]string
		Limit  uint32
	}
}

func act(name string, said json.RawMessage) (any, error) {
	if name == "http" {
		return request(said)
	}
	var it asked
	if err := json.Unmarshal(said, &it); err != nil {
		return nil, err
	}
	api, options := it.At.api(), kubernetes.Options{Fields: it.Query.Fields, Labels: it.Query.Labels, Limit: it.Query.Limit}
	switch name {
	case "get":
		return api.Get(it.Name, options)
	case "list":
		return names(api.All(options))
	case "create":
		return api.Create(it.Body)
	case "patch":
		return api.Patch(it.Name, it.Kind, it.Body)
	case "remove":
		return api.Remove(it.Name)
	default:
		return nil, claiflow.Errorf("invalid", "there is no call `%s`", name)
	}
}

func (a at) api() kubernetes.Api[kubernetes.Object] {
	kind := kubernetes.Resource{Version: a.Version, Plural: a.Resource}
	switch {
	case a.Namespace == nil:
		return kubernetes.OfCluster[kubernetes.Object](kind)
	case *a.Namespace == "*":
		return kubernetes.Granted[kubernetes.Object](kind)
	default:
		return kubernetes.InNamespace[kubernetes.Object](kind, *a.Namespace)
	}
}

func names(objects []kubernetes.Object, err error) (any, error) {
	names := []any{}
	for _, object := range objects[:min(len(objects), namesMax)] {
		metadata, _ := object["metadata"].(map[string]any)
		names = append(names, metadata["name"])
	}
	return map[string]any{"count": len(objects), "names": names}, err
}

func request(said json.RawMessage) (any, error) {
	var it struct {
		URL, Method, Body, Credential string
		Headers                       map[string]string
		TimeoutMs                     *uint32 `json:"timeout_ms"`
		Stay                          bool
	}
	if err := json.Unmarshal(said, &it); err != nil {
		return nil, err
	}
	if it.Method == "" {
		it.Method = "GET"
	}
	request := http.New(it.Method, it.URL).Body([]byte(it.Body))
	for name, value := range it.Headers {
		request.Header(name, value)
	}
	if it.Credential != "" {
		request.Credential(it.Credential)
	}
	if it.TimeoutMs != nil {
		request.Timeout(time.Duration(*it.TimeoutMs) * time.Millisecond)
	}
	if it.Stay {
		request.Stay()
	}
	answer, err := request.Send()
	if err != nil {
		return nil, err
	}
	first := answer.Body[:min(len(answer.Body), bodyMaxChars*utf8.UTFMax)]
	text := []rune(strings.ToValidUTF8(string(first), "\uFFFD"))
	body := string(text[:min(len(text), bodyMaxChars)])
	return map[string]any{"status": answer.Status, "headers": answer.Headers(), "bytes": len(answer.Body), "body": body}, nil
}

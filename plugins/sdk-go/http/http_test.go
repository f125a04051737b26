package http_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"claiflow"
	"claiflow/claiflowtest"
	"claiflow/http"
)

const shop = "https://shop.example.com"

func refused(t *testing.T, code string, err error) *claiflow.Error {
	t.Helper()
	if claiflow.CodeOf(err) != code {
		t.Fatalf("%v in place of %s", err, code)
	}
	return claiflow.AsError(err)
}

func sent(t *testing.T, request *http.Request) *http.Response {
	t.Helper()
	answer, err := request.Send()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestARequestCarriesWhatWasAskedAndItsAnswerIsRead(t *testing.T) {
	web := claiflowtest.NewHost().Web
	web.Answers("POST", shop+"/items", 201, `{"id": 7}`, "X-Kind", "item")
	request := http.Post(shop+"/items").Header("Accept", "a/b").JSON(map[string]int{"n": 1})
	answer := sent(t, request.Credential("old").Credential("shop").Timeout(2500*time.Millisecond))
	var made struct{ ID int }
	kind, _ := answer.Header("x-kind")
	if err := answer.JSON(&made); err != nil || made.ID != 7 || answer.Status != 201 || kind != "item" {
		t.Error(answer, err)
	}
	got := web.Sent[0]
	if string(got.Body) != `{"n":1}` || got.Timeout != 2500*time.Millisecond {
		t.Error(got)
	}
	expected := "map[accept:a/b claiflow-credential:shop content-type:application/json]"
	if headers := fmt.Sprint(got.Headers); headers != expected {
		t.Error(headers)
	}
}

func TestWhatIsNotGrantedIsDenied(t *testing.T) {
	claiflowtest.NewHost()
	_, err := http.Get(shop + "/secret").Send()
	if said := refused(t, "denied", err); !strings.Contains(said.Message, "GET") {
		t.Error(said)
	}
}

func TestStatusesBecomeCodes(t *testing.T) {
	web := claiflowtest.NewHost().Web
	for status, code := range map[int]string{400: "invalid", 403: "denied", 404: "not-found", 409: "conflict", 500: "failed"} {
		url := fmt.Sprintf("%s/%d", shop, status)
		web.Answers("GET", url, status, "")
		if said := refused(t, code, sent(t, http.Get(url)).Check()); said.Details["status"] != status {
			t.Error(said)
		}
	}
	web.Answers("GET", shop, 503, "", "retry-after", "3")
	if said := refused(t, "unavailable", sent(t, http.Get(shop)).Check()); said.Details["retry-after-ms"] != int64(3000) {
		t.Error(said)
	}
}

func TestRedirectionsAreRequestsOfTheirOwn(t *testing.T) {
	for _, it := range []struct {
		method           string
		status           int
		location, target string
		then             string
		keeps            bool
	}{
		{"GET", 301, "next", shop + "/a/next", "GET", true},
		{"POST", 302, "/next", shop + "/next", "GET", true},
		{"POST", 307, "//other.example.com/x#y", "https://other.example.com/x", "POST", false},
		{"GET", 308, "http://shop.example.com/", "http://shop.example.com/", "GET", false},
		{"DELETE", 303, shop + ":443/x", shop + ":443/x", "GET", true},
	} {
		web := claiflowtest.NewHost().Web
		web.Answers(it.method, shop+"/a/b", it.status, "", "location", it.location)
		web.Answers(it.then, it.target, 200, "here")
		request := http.New(it.method, shop+"/a/b").Header("cookie", "c").Body([]byte("x")).Credential("shop")
		answer := sent(t, request)
		if text, err := answer.Text(); answer.URL != it.target || text != "here" || err != nil {
			t.Error(answer, err)
		}
		last := web.Sent[len(web.Sent)-1]
		_, hasCredential := last.Headers["claiflow-credential"]
		_, hasCookie := last.Headers["cookie"]
		hasBody := string(last.Body) == "x"
		if hasCredential != it.keeps || hasCookie != it.keeps || hasBody != (it.then == it.method) {
			t.Errorf("%s: %v", it.location, last)
		}
	}
}

func TestCirclesEndAndFollowersCanStay(t *testing.T) {
	web := claiflowtest.NewHost().Web
	web.Answers("GET", shop, 301, "", "location", shop)
	_, err := http.Get(shop).Send()
	refused(t, "failed", err)
	if len(web.Sent) != 6 {
		t.Error(web.Sent)
	}
	if answer := sent(t, http.Get(shop).Stay()); answer.Status != 301 {
		t.Error(answer)
	}
}

func TestAnswersThatAreSomethingElseAreTold(t *testing.T) {
	web := claiflowtest.NewHost().Web
	web.Answers("GET", shop, 200, "\xff")
	_, err := sent(t, http.Get(shop)).Text()
	refused(t, "failed", err)
	web.Answers("GET", shop+"/html", 200, "<html>")
	var value any
	refused(t, "failed", sent(t, http.Get(shop+"/html")).JSON(&value))
	refused(t, "invalid", func() error { _, err := http.Post(shop).JSON(func() {}).Send(); return err }())
	web.Fails("GET", shop+"/away", claiflow.Errorf("unavailable", "nobody is there"))
	_, err = http.Get(shop + "/away").Send()
	refused(t, "unavailable", err)
}

package kubernetes_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"claiflow"
	"claiflow/claiflowtest"
	"claiflow/kubernetes"
)

type object = map[string]any

// Of a pod, what the tests look at.
type pod struct {
	Metadata struct {
		Name   string            `json:"name"`
		UID    string            `json:"uid"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

var kind = kubernetes.Resource{Version: "v1", Plural: "pods"}

func put(name, app, phase string) object {
	metadata := object{"namespace": "shop", "name": name, "labels": object{"app": app}}
	return object{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": object{"phase": phase}}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func refused(t *testing.T, code string, err error) {
	t.Helper()
	var coded *claiflow.Error
	if !errors.As(err, &coded) || coded.Code != code {
		t.Errorf("%v in place of %s", err, code)
	}
}

func TestObjectsAreReadAsStructs(t *testing.T) {
	cluster := claiflowtest.NewHost().Cluster
	pods := kubernetes.InNamespace[pod](kind, "shop")
	cluster.Put(put("web-1", "web", "Running"))
	cluster.Put(put("db-1", "db", "Failed"))
	found := must[[]pod](t)(pods.All(kubernetes.Options{Labels: map[string]string{"app": "web"}}))
	if len(found) != 1 || found[0].Metadata.Name != "web-1" || found[0].Metadata.UID == "" {
		t.Error(found)
	}
	if found := must[[]pod](t)(pods.All(kubernetes.Options{Limit: 1})); len(found) != 1 {
		t.Error(found)
	}
	cut := must[pod](t)(pods.Get("db-1", kubernetes.Options{Fields: []string{"status.phase"}}))
	if cut.Status.Phase != "Failed" || cut.Metadata.Name != "" {
		t.Error(cut)
	}
	if found := must[*pod](t)(pods.Find("nobody")); found != nil {
		t.Error(found)
	}
	_, err := kubernetes.Granted[pod](kind).Get("web-1")
	refused(t, "invalid", err)
	for range pods.List() {
		break
	}
	_, err = pods.Get("web-1", kubernetes.Options{}, kubernetes.Options{})
	refused(t, "invalid", err)
}

func TestObjectsAreChangedAndRemoved(t *testing.T) {
	cluster := claiflowtest.NewHost().Cluster
	pods := kubernetes.InNamespace[pod](kind, "shop")
	must[pod](t)(pods.Create(put("web-1", "web", "Running")))
	changed := must[pod](t)(pods.Patch("web-1", "merge", object{"metadata": object{"labels": object{"app": nil, "tier": "2"}}}))
	if !reflect.DeepEqual(changed.Metadata.Labels, map[string]string{"tier": "2"}) {
		t.Error(changed)
	}
	operation := func(op, path, value string) []object { return []object{{"op": op, "path": path, "value": value}} }
	must[pod](t)(pods.Patch("web-1", "json", operation("replace", "/status/phase", "Succeeded")))
	if phase := cluster.Object("pods", "shop", "web-1")["status"].(object)["phase"]; phase != "Succeeded" {
		t.Error(phase)
	}
	_, err := pods.Patch("web-1", "json", operation("test", "/status/phase", "x"))
	refused(t, "invalid", err)
	_, err = pods.Patch("web-1", "json", operation("remove", "/spec/x", ""))
	refused(t, "invalid", err)
	_, err = pods.Replace("web-1", put("web-1", "web", "x"))
	refused(t, "conflict", err)
	_, err = pods.Create(put("web-1", "web", "x"))
	refused(t, "exists", err)
	applied := must[pod](t)(pods.Apply("web-2", object{"kind": "Pod", "status": object{"phase": "New"}}))
	if applied.Metadata.Name != "web-2" {
		t.Error(applied)
	}
	_, err = pods.Remove("web-2", kubernetes.Options{UID: "another"})
	refused(t, "conflict", err)
	must[object](t)(pods.Remove("web-2", kubernetes.Options{UID: applied.Metadata.UID}))
	if last := cluster.Calls[len(cluster.Calls)-1]; last != "delete pods shop/web-2" {
		t.Error(last)
	}
}

func TestARefusalIsAnErrorWithItsDetails(t *testing.T) {
	cluster := claiflowtest.NewHost().Cluster
	away := claiflow.Errorf("unavailable", "the API server is away")
	away.Details = object{"status": 503}
	cluster.Refuse("list pods in shop", away)
	_, err := kubernetes.InNamespace[pod](kind, "shop").All()
	said := claiflow.AsError(err)
	if said.Code != "unavailable" || !said.MayPassLater() || said.Details["status"] != 503.0 {
		t.Error(said)
	}
}

func TestPatchesReachIntoLists(t *testing.T) {
	cluster := claiflowtest.NewHost().Cluster
	cluster.Put(object{"kind": "Pod", "metadata": object{"namespace": "shop", "name": "a"}, "list": []string{"x", "y"}})
	pods := kubernetes.InNamespace[object](kind, "shop")
	for _, it := range []struct {
		op, path string
		left     []any
	}{
		{"add", "/list/-", []any{"x", "y", "new"}},
		{"add", "/list/0", []any{"new", "x", "y", "new"}},
		{"remove", "/list/1", []any{"new", "y", "new"}},
		{"replace", "/list/1", []any{"new", "new", "new"}},
	} {
		changed := must[object](t)(pods.Patch("a", "json", []object{{"op": it.op, "path": it.path, "value": "new"}}))
		if !slices.Equal(changed["list"].([]any), it.left) {
			t.Errorf("%s %s left %v", it.op, it.path, changed["list"])
		}
	}
	_, err := pods.Patch("a", "json", []object{{"op": "replace", "path": "/list/9", "value": "new"}})
	refused(t, "invalid", err)
}

func TestChangesLogsAndProgramsComeInPieces(t *testing.T) {
	cluster := claiflowtest.NewHost().Cluster
	pods := kubernetes.InNamespace[pod](kind, "shop")
	watching := must[*kubernetes.Watching[pod]](t)(pods.Watch())
	defer watching.Close()
	cluster.Put(put("web-1", "web", "Running"))
	seen := must[[]kubernetes.Event[pod]](t)(watching.Next(10))
	if len(seen) != 1 || seen[0].Type != "ADDED" || seen[0].Object.Metadata.Name != "web-1" {
		t.Error(seen)
	}
	if seen := must[[]kubernetes.Event[pod]](t)(watching.Next(10)); len(seen) != 0 {
		t.Error(seen)
	}
	cluster.Writes("shop", "web-1", "ready\n")
	log := must[*kubernetes.Log](t)(pods.Log("web-1", kubernetes.Options{TailLines: 1}))
	defer log.Close()
	if data, more, err := log.Next(10); string(data) != "ready\n" || !more || err != nil {
		t.Error(data, more, err)
	}
	if _, more, _ := log.Next(10); more {
		t.Error("there is more")
	}
	cluster.Runs("shop", "web-1", []string{"date"}, "today", "", 3)
	program := must[*kubernetes.Execution](t)(pods.Exec("web-1", "", []string{"date"}))
	defer program.Close()
	if stream, data, more, err := program.Next(10); stream != "stdout" || string(data) != "today" || !more || err != nil {
		t.Error(stream, data, more, err)
	}
	if _, _, more, _ := program.Next(10); more {
		t.Error("there is more")
	}
	if status := must[kubernetes.Status](t)(program.Status()); *status.Exit != 3 {
		t.Error(status)
	}
}

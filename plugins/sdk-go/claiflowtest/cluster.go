package claiflowtest

import (
	"encoding/json"
	"fmt"
	"strings"

	"claiflow"
	"claiflow/internal/host"
)

type object = map[string]any

// Where an object is.
type at struct{ plural, namespace, name string }

type event struct {
	plural string
	kind   string
	object object
}

type output struct {
	stdout, stderr string
	exit           int
}

// Cluster is an API server that is played: objects with versions and uids, conflicts, and what was asked.
type Cluster struct {
	// Calls so far, such as `delete pods shop/web-2`.
	Calls    []string
	objects  map[at]object
	order    []at
	versions int
	refused  map[string]error
	logs     map[[2]string]string
	programs map[[3]string]output
	events   []event
}

func newCluster() *Cluster {
	return &Cluster{objects: map[at]object{}, refused: map[string]error{}, logs: map[[2]string]string{}, programs: map[[3]string]output{}}
}

// Put puts an object there: whatever encoding/json writes as one. Its plural is its kind in small letters with `s`, or `plural`.
func (c *Cluster) Put(it any, plural ...string) {
	put := copied(it)
	name := strings.ToLower(text(put["kind"])) + "s"
	if len(plural) > 0 {
		name = plural[0]
	}
	c.keep(name, put, "ADDED")
}

// Object is one as it is now, or nil; of a kind that lies in no namespace, that is empty.
func (c *Cluster) Object(plural, namespace, name string) map[string]any {
	found := c.objects[at{plural, namespace, name}]
	if found == nil {
		return nil
	}
	return copied(found)
}

// Writes is what a pod's log says.
func (c *Cluster) Writes(namespace, pod, text string) { c.logs[[2]string{namespace, pod}] = text }

// Runs is what a program in a pod does.
func (c *Cluster) Runs(namespace, pod string, command []string, stdout, stderr string, exit int) {
	c.programs[[3]string{namespace, pod, strings.Join(command, " ")}] = output{stdout, stderr, exit}
}

// Refuse lets calls that read like this fail from here on.
func (c *Cluster) Refuse(call string, err *claiflow.Error) { c.refused[call] = failure(err) }

func (c *Cluster) asked(format string, parts ...any) error {
	call := fmt.Sprintf(format, parts...)
	c.Calls = append(c.Calls, call)
	return c.refused[call]
}

// changing is the same for what changes something.
func (c *Cluster) changing(verb string, target host.Object) error {
	if isAsked {
		return refusal("denied", "`Verify` changes nothing", nil)
	}
	return c.asked("%s %s %s", verb, pluralOf(target.Resource), placeOf(target))
}

func (c *Cluster) there(target host.Object) (object, error) {
	if found := c.objects[atOf(target)]; found != nil {
		return found, nil
	}
	message := fmt.Sprintf("%s %q not found", target.Resource.Plural, target.Name)
	return nil, refusal("not-found", message, map[string]any{"status": 404, "reason": "NotFound"})
}

func (c *Cluster) keep(plural string, it object, kind string) string {
	c.versions++
	metadata := metadataOf(it)
	if metadata["uid"] == nil {
		metadata["uid"] = fmt.Sprintf("uid-%d", c.versions)
	}
	metadata["resourceVersion"] = fmt.Sprint(c.versions)
	place := at{plural, text(metadata["namespace"]), text(metadata["name"])}
	if c.objects[place] == nil {
		c.order = append(c.order, place)
	}
	c.objects[place] = it
	c.events = append(c.events, event{plural, kind, copied(it)})
	return written(it)
}

func metadataOf(it object) object {
	metadata, is := it["metadata"].(map[string]any)
	if !is {
		metadata = object{}
		it["metadata"] = metadata
	}
	return metadata
}

func atOf(target host.Object) at {
	namespace := ""
	if target.Namespace != nil {
		namespace = *target.Namespace
	}
	return at{target.Resource.Plural, namespace, target.Name}
}

func placeOf(target host.Object) string {
	if target.Namespace == nil {
		return target.Name
	}
	return *target.Namespace + "/" + target.Name
}

func pluralOf(kind host.Resource) string {
	if kind.Subresource == "" {
		return kind.Plural
	}
	return kind.Plural + "/" + kind.Subresource
}

func text(value any) string {
	said, _ := value.(string)
	return said
}

func written(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// copied is anything as the object that JSON makes of it.
func copied(it any) object {
	var made object
	if err := json.Unmarshal([]byte(written(it)), &made); err != nil {
		panic(err)
	}
	return made
}

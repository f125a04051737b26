package claiflowtest

import (
	"encoding/json"
	"strings"

	"claiflow/internal/host"
)

// options that a played call looks at.
type options struct {
	Fields          []string          `json:"fields"`
	Labels          map[string]string `json:"labels"`
	Limit           int               `json:"limit"`
	UID             string            `json:"uid"`
	ResourceVersion string            `json:"resource-version"`
	DryRun          bool              `json:"dry-run"`
}

func optionsOf(text string) options {
	var said options
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		panic(err)
	}
	return said
}

func (c *Cluster) get(target host.Object, text string) (string, error) {
	if err := c.asked("get %s %s", pluralOf(target.Resource), placeOf(target)); err != nil {
		return "", err
	}
	found, err := c.there(target)
	if err != nil {
		return "", err
	}
	return written(picked(found, optionsOf(text).Fields)), nil
}

func (c *Cluster) list(kind host.Resource, scope host.Scope, text string) (host.Pages, error) {
	if err := c.asked("list %s%s", pluralOf(kind), in(scope)); err != nil {
		return nil, err
	}
	said, found := optionsOf(text), []object{}
	for _, place := range c.order {
		it := c.objects[place]
		isThere := it != nil && place.plural == kind.Plural && isIn(scope, place.namespace) && hasLabels(it, said.Labels)
		if isThere && (said.Limit == 0 || len(found) < said.Limit) {
			found = append(found, picked(it, said.Fields))
		}
	}
	return &pages{[]string{written(found)}}, nil
}

func hasLabels(it object, wanted map[string]string) bool {
	labels, _ := metadataOf(it)["labels"].(map[string]any)
	for name, value := range wanted {
		if labels[name] != value {
			return false
		}
	}
	return true
}

func in(scope host.Scope) string {
	if scope.Place != host.InNamespace {
		return ""
	}
	return " in " + scope.Namespace
}

func isIn(scope host.Scope, namespace string) bool {
	return scope.Place != host.InNamespace || scope.Namespace == namespace
}

type pages struct{ left []string }

func (p *pages) Next() (string, bool, error) {
	if len(p.left) == 0 {
		return "", false, nil
	}
	page := p.left[0]
	p.left = p.left[1:]
	return page, true, nil
}

func (p *pages) Drop() {}

func (c *Cluster) watch(kind host.Resource, scope host.Scope) (host.Events, error) {
	if err := c.asked("watch %s%s", pluralOf(kind), in(scope)); err != nil {
		return nil, err
	}
	return &events{c, kind.Plural, scope, 0}, nil
}

type events struct {
	cluster *Cluster
	plural  string
	scope   host.Scope
	seen    int
}

func (e *events) Next(uint32) (string, error) {
	told := []object{}
	for _, it := range e.cluster.events[e.seen:] {
		if it.plural == e.plural && isIn(e.scope, text(metadataOf(it.object)["namespace"])) {
			told = append(told, object{"type": it.kind, "object": it.object})
		}
	}
	e.seen = len(e.cluster.events)
	return written(told), nil
}

func (e *events) Drop() {}

func (c *Cluster) log(pod host.Object) (host.Stream, error) {
	if err := c.asked("get pods/log %s", placeOf(pod)); err != nil {
		return nil, err
	}
	return &stream{[]byte(c.logs[[2]string{atOf(pod).namespace, pod.Name}])}, nil
}

type stream struct{ left []byte }

func (s *stream) Read(uint32, uint32) ([]byte, bool, error) {
	data := s.left
	s.left = nil
	return data, len(data) > 0, nil
}

func (s *stream) Drop() {}

// picked are these paths of an object, and what names it.
func picked(it object, fields []string) object {
	if len(fields) == 0 {
		return copied(it)
	}
	cut := object{}
	for _, field := range append([]string{"apiVersion", "kind"}, fields...) {
		pick(it, cut, strings.Split(field, "."))
	}
	return copied(cut)
}

func pick(from, to object, path []string) {
	value, isThere := from[path[0]]
	if !isThere {
		return
	}
	if len(path) == 1 {
		to[path[0]] = value
		return
	}
	inner, is := value.(map[string]any)
	if !is {
		return
	}
	next, is := to[path[0]].(map[string]any)
	if !is {
		next = object{}
		to[path[0]] = next
	}
	pick(inner, next, path[1:])
}

package claiflowtest

import (
	"encoding/json"
	"fmt"
	"strings"

	"claiflow/internal/host"
)

func (c *Cluster) create(target host.Object, body string) (string, error) {
	if err := c.changing("create", target); err != nil {
		return "", err
	}
	it := copied(json.RawMessage(body))
	metadata := metadataOf(it)
	if target.Namespace != nil {
		metadata["namespace"] = *target.Namespace
	}
	if metadata["name"] == nil {
		metadata["name"] = fmt.Sprintf("%s%d", text(metadata["generateName"]), c.versions+1)
	}
	place := at{target.Resource.Plural, text(metadata["namespace"]), text(metadata["name"])}
	if c.objects[place] != nil {
		message := fmt.Sprintf("%s %q already exists", place.plural, place.name)
		return "", refusal("exists", message, map[string]any{"status": 409, "reason": "AlreadyExists"})
	}
	return c.keep(place.plural, it, "ADDED"), nil
}

func (c *Cluster) apply(target host.Object, body string) (string, error) {
	if err := c.changing("apply", target); err != nil {
		return "", err
	}
	before := c.objects[atOf(target)]
	if before == nil {
		metadata := object{"name": target.Name}
		if target.Namespace != nil {
			metadata["namespace"] = *target.Namespace
		}
		before = object{"metadata": metadata}
	}
	after := merged(copied(before), copied(json.RawMessage(body)))
	return c.keep(target.Resource.Plural, copied(after), "MODIFIED"), nil
}

func (c *Cluster) replace(target host.Object, body string) (string, error) {
	if err := c.changing("replace", target); err != nil {
		return "", err
	}
	before, err := c.there(target)
	if err != nil {
		return "", err
	}
	it := copied(json.RawMessage(body))
	if metadataOf(it)["resourceVersion"] != metadataOf(before)["resourceVersion"] {
		return "", conflict(target)
	}
	return c.keep(target.Resource.Plural, it, "MODIFIED"), nil
}

func (c *Cluster) patch(target host.Object, kind, body string) (string, error) {
	if err := c.changing("patch", target); err != nil {
		return "", err
	}
	before, err := c.there(target)
	if err != nil {
		return "", err
	}
	if kind != "json" {
		return c.keep(target.Resource.Plural, copied(merged(copied(before), copied(json.RawMessage(body)))), "MODIFIED"), nil
	}
	after, err := operated(copied(before), body)
	if err != nil {
		return "", err
	}
	return c.keep(target.Resource.Plural, copied(after), "MODIFIED"), nil
}

func (c *Cluster) remove(target host.Object, text string) (string, error) {
	if err := c.changing("delete", target); err != nil {
		return "", err
	}
	before, err := c.there(target)
	if err != nil {
		return "", err
	}
	said, metadata := optionsOf(text), metadataOf(before)
	if said.UID != "" && said.UID != metadata["uid"] || said.ResourceVersion != "" && said.ResourceVersion != metadata["resourceVersion"] {
		return "", conflict(target)
	}
	if !said.DryRun {
		delete(c.objects, atOf(target))
		c.events = append(c.events, event{target.Resource.Plural, "DELETED", before})
	}
	return `{"kind":"Status","status":"Success"}`, nil
}

func conflict(target host.Object) error {
	message := fmt.Sprintf("%s %q is another one by now", target.Resource.Plural, target.Name)
	return refusal("conflict", message, map[string]any{"status": 409, "reason": "Conflict"})
}

func (c *Cluster) exec(pod host.Object, command []string) (host.Program, error) {
	words := strings.Join(command, " ")
	if isAsked {
		return nil, refusal("denied", "`Verify` changes nothing", nil)
	}
	if err := c.asked("exec %s %s", placeOf(pod), words); err != nil {
		return nil, err
	}
	return &program{c.programs[[3]string{atOf(pod).namespace, pod.Name, words}]}, nil
}

type program struct{ left output }

func (p *program) Write([]byte) error { return nil }

func (p *program) CloseInput() {}

func (p *program) Read(uint32, uint32) (string, []byte, bool, error) {
	name, data := "stdout", p.left.stdout
	if data == "" {
		name, data, p.left.stderr = "stderr", p.left.stderr, ""
	}
	p.left.stdout = ""
	return name, []byte(data), data != "", nil
}

func (p *program) Status() (string, error) { return fmt.Sprintf(`{"exit":%d}`, p.left.exit), nil }

func (p *program) Drop() {}

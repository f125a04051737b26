package shape

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Misfit is a value that is not of its type, with its place.
type Misfit struct{ place, what string }

func (m *Misfit) Error() string {
	if m.place == "" {
		return "the inputs: " + m.what
	}
	return m.place + ": " + m.what
}

// Fit checks a value that was decoded with numbers kept as texts. It answers the value with what is missing and has a default, and with
// whole numbers as Go reads them. Properties that nobody knows are left alone.
func (s *Shape) Fit(value any) (any, error) { return s.fit(value, "") }

func (s *Shape) fit(value any, place string) (any, error) {
	if s.kind == "" || value == nil && s.isNullable {
		return value, nil
	}
	wrong := func(format string, parts ...any) error { return &Misfit{place, fmt.Sprintf(format, parts...)} }
	switch typed := value.(type) {
	case string:
		if s.kind == "string" {
			if s.enum != nil && !slices.Contains(s.enum, typed) {
				return nil, wrong("is none of %s", strings.Join(s.enum, ", "))
			}
			return typed, nil
		}
	case bool:
		if s.kind == "boolean" {
			return typed, nil
		}
	case json.Number:
		if s.kind == "number" || s.kind == "integer" {
			return s.number(typed, wrong)
		}
	case []any:
		if s.kind == "array" {
			for at, item := range typed {
				fitting, err := s.items.fit(item, place+"/"+strconv.Itoa(at))
				if err != nil {
					return nil, err
				}
				typed[at] = fitting
			}
			return typed, nil
		}
	case map[string]any:
		if s.kind == "object" {
			return s.object(typed, place)
		}
	}
	return nil, wrong("is not of type %s", s.kind)
}

func (s *Shape) number(value json.Number, wrong func(string, ...any) error) (any, error) {
	size, err := value.Float64()
	if err != nil {
		return nil, wrong("is not of type %s", s.kind)
	}
	if s.kind == "integer" && strings.ContainsAny(value.String(), ".eE") {
		// What JSON writes with a fraction or an exponent can be whole.
		if size != math.Trunc(size) {
			return nil, wrong("is not of type integer")
		}
		value = json.Number(strconv.FormatFloat(size, 'f', 0, 64))
	}
	// A tag that is no number was refused with the type.
	if least, err := s.minimum.Float64(); err == nil && size < least {
		return nil, wrong("%s is less than the minimum of %s", value, s.minimum)
	}
	if most, err := s.maximum.Float64(); err == nil && size > most {
		return nil, wrong("%s is greater than the maximum of %s", value, s.maximum)
	}
	return value, nil
}

func (s *Shape) object(value map[string]any, place string) (any, error) {
	if s.items != nil {
		for name, item := range value {
			fitting, err := s.items.fit(item, place+"/"+name)
			if err != nil {
				return nil, err
			}
			value[name] = fitting
		}
		return value, nil
	}
	for _, field := range s.fields {
		item, is := value[field.name]
		switch {
		case !is && field.isRequired:
			return nil, &Misfit{place, strconv.Quote(field.name) + " is a required property"}
		case !is && field.standard != "":
			value[field.name] = json.RawMessage(field.standard)
		case is:
			fitting, err := field.shape.fit(item, place+"/"+field.name)
			if err != nil {
				return nil, err
			}
			value[field.name] = fitting
		}
	}
	return value, nil
}

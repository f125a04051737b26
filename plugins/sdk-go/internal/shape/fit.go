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

// Fit checks a value that was decoded with numbers kept as texts, and answers it with what is missing and has a default, and with whole
// numbers as Go reads them; `isOther` says that it is not as it was. Properties that nobody knows are left alone.
func (s *Shape) Fit(value any) (fitting any, isOther bool, err error) {
	fitter := &fitter{}
	fitting, err = fitter.fit(s, value, "")
	return fitting, fitter.isOther, err
}

// fitter goes through one value.
type fitter struct{ isOther bool }

func (f *fitter) fit(s *Shape, value any, place string) (any, error) {
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
			return f.number(s, typed, wrong)
		}
	case []any:
		if s.kind == "array" {
			for at, item := range typed {
				fitting, err := f.fit(s.items, item, place+"/"+strconv.Itoa(at))
				if err != nil {
					return nil, err
				}
				typed[at] = fitting
			}
			return typed, nil
		}
	case map[string]any:
		if s.kind == "object" {
			return f.object(s, typed, place)
		}
	}
	return nil, wrong("is not of type %s", s.kind)
}

func (f *fitter) number(s *Shape, value json.Number, wrong func(string, ...any) error) (any, error) {
	size, err := value.Float64()
	if err != nil {
		return nil, wrong("is not of type %s", s.kind)
	}
	if s.kind == "integer" && strings.ContainsAny(value.String(), ".eE") {
		// What JSON writes with a fraction or an exponent can be whole.
		if size != math.Trunc(size) {
			return nil, wrong("is not of type integer")
		}
		value, f.isOther = json.Number(strconv.FormatFloat(size, 'f', 0, 64)), true
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

func (f *fitter) object(s *Shape, value map[string]any, place string) (any, error) {
	if s.items != nil {
		for name, item := range value {
			fitting, err := f.fit(s.items, item, place+"/"+name)
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
			value[field.name], f.isOther = json.RawMessage(field.standard), true
		case is:
			fitting, err := f.fit(field.shape, item, place+"/"+field.name)
			if err != nil {
				return nil, err
			}
			value[field.name] = fitting
		}
	}
	return value, nil
}

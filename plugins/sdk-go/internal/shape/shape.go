// Package shape reads Go types as JSON Schemas, and checks JSON values against them.
package shape

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Shape of a type.
type Shape struct {
	// A type of JSON, or empty for anything.
	kind       string
	isNullable bool
	format     string
	// Of an object that is a struct.
	fields []field
	// Of a list's items or a map's values.
	items            *Shape
	enum             []string
	minimum, maximum json.Number
}

type field struct {
	name, doc  string
	shape      *Shape
	isRequired bool
	// JSON text, or empty.
	standard string
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	instant       = reflect.TypeFor[time.Time]()
	bytes         = reflect.TypeFor[[]byte]()
)

// Of is the shape of a type.
//
// It fails for a type that JSON cannot have, for one that contains itself, and for a tag that cannot be read.
func Of(kind reflect.Type) (*Shape, error) { return of(kind, nil) }

func of(kind reflect.Type, above []reflect.Type) (*Shape, error) {
	if slices.Contains(above, kind) {
		return nil, fmt.Errorf("%s contains itself, which takes a schema of your own", kind)
	}
	switch {
	case kind == instant:
		return &Shape{kind: "string", format: "date-time"}, nil
	case kind == bytes:
		return &Shape{kind: "string"}, nil
	case kind.Kind() != reflect.Pointer && (kind.Implements(marshaler) || reflect.PointerTo(kind).Implements(marshaler)):
		return &Shape{}, nil
	case kind.Kind() != reflect.Pointer && (kind.Implements(textMarshaler) || reflect.PointerTo(kind).Implements(textMarshaler)):
		return &Shape{kind: "string"}, nil
	}
	switch kind.Kind() {
	case reflect.Interface:
		return &Shape{}, nil
	case reflect.String:
		return &Shape{kind: "string"}, nil
	case reflect.Bool:
		return &Shape{kind: "boolean"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &Shape{kind: "integer"}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &Shape{kind: "integer", minimum: "0"}, nil
	case reflect.Float32, reflect.Float64:
		return &Shape{kind: "number"}, nil
	case reflect.Pointer:
		inner, err := of(kind.Elem(), above)
		if err != nil {
			return nil, err
		}
		inner.isNullable = true
		return inner, nil
	case reflect.Slice, reflect.Array, reflect.Map:
		name := "array"
		if kind.Kind() == reflect.Map {
			name = "object"
			if kind.Key().Kind() != reflect.String {
				return nil, fmt.Errorf("%s has keys that are no text", kind)
			}
		}
		items, err := of(kind.Elem(), append(above, kind))
		return &Shape{kind: name, items: items}, err
	case reflect.Struct:
		shape := &Shape{kind: "object"}
		return shape, shape.add(kind, append(above, kind))
	default:
		return nil, fmt.Errorf("%s has no JSON Schema", kind)
	}
}

// add takes in the fields of a struct: those of one that is embedded become its own.
func (s *Shape) add(kind reflect.Type, above []reflect.Type) error {
	for at := range kind.NumField() {
		member := kind.Field(at)
		name, options, _ := strings.Cut(member.Tag.Get("json"), ",")
		inner := member.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if member.Anonymous && name == "" && inner.Kind() == reflect.Struct {
			if err := s.add(inner, append(above, inner)); err != nil {
				return err
			}
			continue
		}
		if !member.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = member.Name
		}
		shape, err := of(member.Type, above)
		if err == nil {
			err = shape.tagged(member.Tag)
		}
		if err != nil {
			return fmt.Errorf("the field %s.%s: %w", kind.Name(), member.Name, err)
		}
		standard, hasStandard := member.Tag.Lookup("default")
		if hasStandard && shape.kind == "string" {
			standard = quoted(standard)
		}
		if hasStandard && !json.Valid([]byte(standard)) {
			return fmt.Errorf("the field %s.%s: `default` is no JSON", kind.Name(), member.Name)
		}
		mayLack := shape.isNullable || hasStandard || strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		s.fields = append(s.fields, field{name, member.Tag.Get("doc"), shape, !mayLack, standard})
	}
	return nil
}

func (s *Shape) tagged(tag reflect.StructTag) error {
	if values, is := tag.Lookup("enum"); is {
		if s.kind != "string" {
			return fmt.Errorf("`enum` is for texts")
		}
		s.enum = strings.Split(values, ",")
	}
	for name, bound := range map[string]*json.Number{"min": &s.minimum, "max": &s.maximum} {
		value, is := tag.Lookup(name)
		if !is {
			continue
		}
		if _, err := strconv.ParseFloat(value, 64); err != nil || s.kind != "integer" && s.kind != "number" {
			return fmt.Errorf("`%s` is a number, and for numbers", name)
		}
		*bound = json.Number(value)
	}
	return nil
}

func quoted(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

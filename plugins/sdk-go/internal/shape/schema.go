package shape

import "encoding/json"

// Schema is the JSON Schema; anything may stand where the type says nothing.
func (s *Shape) Schema() map[string]any {
	schema := map[string]any{}
	if s.kind != "" {
		schema["type"] = s.kind
	}
	if s.format != "" {
		schema["format"] = s.format
	}
	if s.enum != nil {
		schema["enum"] = s.enum
	}
	if s.minimum != "" {
		schema["minimum"] = s.minimum
	}
	if s.maximum != "" {
		schema["maximum"] = s.maximum
	}
	switch {
	case s.kind == "array":
		schema["items"] = s.items.Schema()
	case s.kind == "object" && s.items != nil:
		schema["additionalProperties"] = s.items.Schema()
	case s.kind == "object":
		s.describe(schema)
	}
	if s.isNullable && s.kind != "" {
		return map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
	}
	return schema
}

func (s *Shape) describe(schema map[string]any) {
	properties, required := map[string]any{}, []string{}
	for _, field := range s.fields {
		property := field.shape.Schema()
		if field.doc != "" {
			property["description"] = field.doc
		}
		if field.standard != "" {
			property["default"] = json.RawMessage(field.standard)
		}
		properties[field.name] = property
		if field.isRequired {
			required = append(required, field.name)
		}
	}
	schema["properties"] = properties
	if len(required) > 0 {
		schema["required"] = required
	}
}

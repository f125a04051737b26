package shape

import "reflect"

// Fill makes lists and maps that were never made empty ones: JSON has `[]` and `{}` for them as their schemas say, where Go writes `null`.
// The value can be set.
func Fill(value reflect.Value) {
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() {
			Fill(value.Elem())
		}
	case reflect.Slice:
		if value.IsNil() && value.CanSet() && !isWritten(value.Type()) {
			value.Set(reflect.MakeSlice(value.Type(), 0, 0))
		}
		if mayHold(value.Type().Elem()) {
			for at := range value.Len() {
				Fill(value.Index(at))
			}
		}
	case reflect.Array:
		for at := range value.Len() {
			Fill(value.Index(at))
		}
	case reflect.Map:
		if value.IsNil() && value.CanSet() && !isWritten(value.Type()) {
			value.Set(reflect.MakeMap(value.Type()))
		}
		fillMap(value)
	case reflect.Struct:
		for at := range value.NumField() {
			if value.Type().Field(at).IsExported() {
				Fill(value.Field(at))
			}
		}
	}
}

// fillMap goes on with copies: what lies in a map cannot be set.
func fillMap(value reflect.Value) {
	if !mayHold(value.Type().Elem()) {
		return
	}
	for _, key := range value.MapKeys() {
		held := reflect.New(value.Type().Elem()).Elem()
		held.Set(value.MapIndex(key))
		Fill(held)
		value.SetMapIndex(key, held)
	}
}

// isWritten says whether a type writes itself, such as JSON text that is passed on.
func isWritten(kind reflect.Type) bool {
	return kind.Implements(marshaler) || kind.Implements(textMarshaler)
}

// mayHold says whether there can be a list or a map in a value.
func mayHold(kind reflect.Type) bool {
	switch kind.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		return true
	default:
		return false
	}
}

//! Text in, text out: JSON strings, names, and the sentence of a doc comment.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// What the agent takes as a command's name.
const NAME_MAX_BYTES: usize = 128;

/// `text` as a JSON string, with its quotes.
pub(crate) fn json(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Why `name` is no command name, if it is none.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/'));
    if !letters {
        Some("a command's name has ASCII letters, digits, `_`, `-`, `.` and `/`")
    } else if name.split(['.', '/']).any(str::is_empty) {
        Some("a command's name has a word before, between and after its dots and slashes")
    } else if name.len() > NAME_MAX_BYTES {
        Some("a command's name has at most 128 bytes")
    } else {
        None
    }
}

/// Why `pattern` is no command pattern, if it is none.
pub(crate) fn pattern_fault(pattern: &str) -> Option<&'static str> {
    let mut segments = pattern.split('.').peekable();
    let mut places = 0;
    while let Some(segment) = segments.next() {
        match segment.strip_prefix('{').and_then(|place| place.strip_suffix('}')) {
            None if segment.is_empty() || segment.contains(['{', '}']) => {
                return Some("between the dots of a pattern stands a word, or one place such as `{name}`");
            }
            None => {}
            Some(place) => {
                places += 1;
                let name = place.strip_suffix('+').unwrap_or(place);
                if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                    return Some("a place has a name of ASCII letters, digits and `_`");
                }
                if place.ends_with('+') && segments.peek().is_some() {
                    return Some("a place with `+` takes all that is left, so nothing may follow it");
                }
            }
        }
    }
    if places == 0 {
        Some("a pattern has at least one place such as `{name}`; give a plain name without `pattern =`")
    } else if pattern.len() > NAME_MAX_BYTES {
        Some("a pattern has at most 128 bytes")
    } else {
        None
    }
}

/// The first paragraph of a doc comment, on one line and without its full stop.
pub(crate) fn first_paragraph(attributes: &[Attribute]) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    for line in attributes.iter().filter_map(doc) {
        let line = line.trim();
        if line.is_empty() {
            if words.is_empty() {
                continue;
            }
            break;
        }
        words.push(line.to_owned());
    }
    let text = words.join(" ");
    let text = text.strip_suffix('.').unwrap_or(&text);
    (!text.is_empty()).then(|| text.to_owned())
}

fn doc(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if pair.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{first_paragraph, json, name_fault, pattern_fault};
    use syn::parse_quote;

    #[test]
    fn json_strings_are_escaped() {
        assert_eq!(json("a \"b\" \\ \n\u{1} ä"), r#""a \"b\" \\ \n\u0001 ä""#);
    }

    #[test]
    fn names_and_patterns_are_those_of_the_agent() {
        for name in ["math_pow", "restart.run", "a-b.c_d.1", "a.b/c.v1"] {
            assert_eq!(name_fault(name), None, "{name}");
        }
        for name in ["", "a b", ".a", "a.", "a..b", "a//b", "/a", "a/.b", "ä", &"x".repeat(129)] {
            assert!(name_fault(name).is_some(), "{name}");
        }
        for pattern in ["kubernetes.{resource}.{verb}.{version+}", "{x}"] {
            assert_eq!(pattern_fault(pattern), None, "{pattern}");
        }
        for pattern in ["", "a.b", "a.{x+}.b", "a.{}", "a.{x y}", "a{x}", "a..{x}"] {
            assert!(pattern_fault(pattern).is_some(), "{pattern}");
        }
    }

    #[test]
    fn a_summary_is_the_first_paragraph() {
        let function: syn::ItemFn = parse_quote! {
            /// Greets a person,
            /// politely.
            ///
            /// At length.
            fn greet() {}
        };
        assert_eq!(first_paragraph(&function.attrs).as_deref(), Some("Greets a person, politely"));
        assert_eq!(first_paragraph(&[]), None);
    }
}

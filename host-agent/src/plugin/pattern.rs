//! Commands with places in their names: `kubernetes.{resource}.{verb}.{version+}`.
//!
//! A name is cut at its dots. `{x}` takes one segment; `{x+}`, only at the end, takes one or more.

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    One(String),
    Rest(String),
}

/// A command pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    segments: Vec<Segment>,
}

impl Pattern {
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('.').collect();
        let mut segments = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            segments.push(match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                None if part.contains(['{', '}']) => return Err(format!("`{part}` is neither a word nor one place")),
                None if part.is_empty() => return Err("a segment is empty".into()),
                None => Segment::Literal((*part).to_owned()),
                Some(place) => {
                    let rest = place.strip_suffix('+');
                    let name = rest.unwrap_or(place);
                    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                        return Err(format!("`{part}` needs a name of letters, digits and `_`"));
                    }
                    match rest {
                        Some(_) if index + 1 < parts.len() => {
                            return Err(format!("`{part}` takes all that is left, so nothing may follow it"));
                        }
                        Some(name) => Segment::Rest(name.to_owned()),
                        None => Segment::One(name.to_owned()),
                    }
                }
            });
        }
        if segments.iter().all(|segment| matches!(segment, Segment::Literal(_))) {
            return Err("it has no place; give it as `name`".into());
        }
        Ok(Self { segments })
    }

    /// What the places took, or none.
    pub(super) fn captures(&self, command: &str) -> Option<Vec<(&str, String)>> {
        let mut parts = command.split('.').peekable();
        let mut captures = Vec::new();
        for segment in &self.segments {
            let part = parts.next().filter(|part| !part.is_empty())?;
            match segment {
                Segment::Literal(word) if word == part => {}
                Segment::Literal(_) => return None,
                Segment::One(name) => captures.push((name.as_str(), part.to_owned())),
                Segment::Rest(name) => {
                    let mut rest = part.to_owned();
                    for part in parts.by_ref() {
                        rest.push('.');
                        rest.push_str(part);
                    }
                    captures.push((name.as_str(), rest));
                }
            }
        }
        parts.next().is_none().then_some(captures)
    }

    /// More words in place of places come first.
    pub(super) fn words(&self) -> usize {
        self.segments.iter().filter(|segment| matches!(segment, Segment::Literal(_))).count()
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn places_take_segments() {
        let pattern = Pattern::parse("kubernetes.{resource}.{verb}.{version+}").unwrap();
        let captures = pattern.captures("kubernetes.pods.list.apps.v1").unwrap();
        assert_eq!(captures, [("resource", "pods".into()), ("verb", "list".into()), ("version", "apps.v1".into())]);
        for other in ["kubernetes.pods.list", "helm.pods.list.v1", "kubernetes..list.v1", ""] {
            assert_eq!(pattern.captures(other), None, "{other}");
        }
        assert_eq!(Pattern::parse("a.{x}").unwrap().captures("a.b.c"), None);
    }

    #[test]
    fn a_text_that_is_no_pattern_is_refused() {
        for text in ["", "a.b", "a.{x+}.b", "a.{}", "a.{x y}", "a{x}", "a..{x}"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}

//! Commands with places in their names, read as the agent reads them: cut at the dots, `{x}` takes one segment, `{x+}`
//! at the end takes one or more.

use std::collections::BTreeMap;

/// Whether a command is one of the pattern's.
pub(crate) fn matches(pattern: &str, command: &str) -> bool {
    walk(pattern, command, |_, _| ())
}

/// What the places of `pattern` took from `command`, or none where it does not match.
pub(crate) fn captures(pattern: &str, command: &str) -> Option<BTreeMap<String, String>> {
    let mut captures = BTreeMap::new();
    let take = |place: &str, taken: &str| drop(captures.insert(place.to_owned(), taken.to_owned()));
    walk(pattern, command, take).then_some(captures)
}

/// Whether the pattern matches; tells each place and what that takes on the way there.
fn walk(pattern: &str, command: &str, mut take: impl FnMut(&str, &str)) -> bool {
    let mut rest = Some(command);
    for part in pattern.split('.') {
        let Some(left) = rest else { return false };
        let (segment, behind) = left.split_once('.').map_or((left, None), |(segment, behind)| (segment, Some(behind)));
        if segment.is_empty() {
            return false;
        }
        rest = behind;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None if part != segment => return false,
            None => (),
            Some(place) => match place.strip_suffix('+') {
                None => take(place, segment),
                Some(place) => {
                    take(place, left);
                    rest = None;
                }
            },
        }
    }
    rest.is_none()
}

/// Of several patterns that match, the one with the most words in place of places serves.
pub(crate) fn words(pattern: &str) -> usize {
    pattern.split('.').filter(|part| !part.starts_with('{')).count()
}

#[cfg(test)]
mod tests {
    use super::{captures, matches};

    #[test]
    fn places_take_segments() {
        for (pattern, command, taken) in [
            (
                "kubernetes.{resource}.{verb}.{version+}",
                "kubernetes.pods.list.apps.v1",
                Some(vec![("resource", "pods"), ("verb", "list"), ("version", "apps.v1")]),
            ),
            ("kubernetes.{resource}.{verb}.{version+}", "kubernetes.pods.list", None),
            ("kubernetes.{resource}.{verb}.{version+}", "helm.pods.list.v1", None),
            ("a.{x}", "a.b.c", None),
            ("a.{x}", "a.", None),
            ("a.{x}", "a", None),
            ("a.{x}", "a..b", None),
            ("a.{x+}", "a.b..c", Some(vec![("x", "b..c")])),
            ("a.{x+}.c", "a.b.c", None),
            ("a.{x}.c", "a.b.c", Some(vec![("x", "b")])),
        ] {
            let taken = taken.map(|taken| taken.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
            assert_eq!(matches(pattern, command), taken.is_some(), "{pattern} {command}");
            assert_eq!(captures(pattern, command), taken, "{pattern} {command}");
        }
    }
}

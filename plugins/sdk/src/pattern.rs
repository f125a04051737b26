//! Commands with places in their names, read as the agent reads them: cut at the dots, `{x}` takes one segment, `{x+}`
//! at the end takes one or more.

use std::collections::BTreeMap;

/// What the places of `pattern` took from `command`, or none where it does not match.
pub(crate) fn captures(pattern: &str, command: &str) -> Option<BTreeMap<String, String>> {
    let mut segments = command.split('.');
    let mut captures = BTreeMap::new();
    for part in pattern.split('.') {
        let segment = segments.next().filter(|segment| !segment.is_empty())?;
        let Some(place) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            if part != segment {
                return None;
            }
            continue;
        };
        match place.strip_suffix('+') {
            None => captures.insert(place.to_owned(), segment.to_owned()),
            Some(place) => {
                let rest = segments.by_ref().fold(segment.to_owned(), |rest, segment| rest + "." + segment);
                captures.insert(place.to_owned(), rest)
            }
        };
    }
    segments.next().is_none().then_some(captures)
}

/// Of several patterns that match, the one with the most words in place of places serves.
pub(crate) fn words(pattern: &str) -> usize {
    pattern.split('.').filter(|part| !part.starts_with('{')).count()
}

#[cfg(test)]
mod tests {
    use super::captures;

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
            ("a.{x}.c", "a.b.c", Some(vec![("x", "b")])),
        ] {
            let taken = taken.map(|taken| taken.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
            assert_eq!(captures(pattern, command), taken, "{pattern} {command}");
        }
    }
}

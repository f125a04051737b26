//! Fields of an object, by the keys that lead to them.

/// One step into an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step<'a> {
    /// A key of a map; in a JSON patch perhaps the index of a list's element.
    Key(&'a str),
    /// Any element of a list.
    Element,
}

/// Below `metadata` of an object, or of a template inside it, what decides who owns it, when it ends, or what other
/// controllers do with it.
const NAMED: [&str; 3] = ["annotations", "ownerReferences", "finalizers"];
/// What `metadata` says that no guest reads or writes.
const MANAGED_FIELDS: &str = "managedFields";
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An annotation's key has up to 317.
const SHOWN_MAX_CHARS: usize = 400;

/// Keys that lead to a field.
pub(super) type Path<'a> = [Step<'a>];

/// Where the path enters something that a write mask must name: the index of that step.
pub(super) fn named_at(path: &Path<'_>) -> Option<usize> {
    let pairs = path.iter().zip(path.iter().skip(1));
    let found = pairs.enumerate().find(|(_, (before, step))| {
        **before == Step::Key("metadata") && matches!(step, Step::Key(key) if NAMED.contains(key))
    });
    found.map(|(index, _)| index + 1)
}

/// Whether it is, or is inside, what no answer shows and no body sets.
pub(super) fn is_hidden(path: &Path<'_>) -> bool {
    let keys = |index: usize, wanted: &[&str]| {
        let found = path.get(index..).unwrap_or_default();
        found.len() >= wanted.len() && found.iter().zip(wanted).all(|(step, key)| *step == Step::Key(key))
    };
    (0..path.len())
        .any(|at| keys(at, &["metadata", MANAGED_FIELDS]) || keys(at, &["metadata", "annotations", LAST_APPLIED]))
}

/// Whether it holds something of [`is_hidden`] or of [`named_at`]: the whole object, its `metadata`, or annotations.
pub(super) fn holds_metadata(path: &Path<'_>) -> bool {
    matches!(path, [] | [.., Step::Key("metadata")] | [.., Step::Key("metadata"), Step::Key("annotations")])
}

/// Whether one leads to the other, or both are the same.
pub(super) fn overlap(path: &Path<'_>, keys: &[&str]) -> bool {
    path.iter().zip(keys).all(|(step, key)| *step == Step::Key(key))
}

/// Whether the path is exactly these keys.
pub(super) fn is(path: &Path<'_>, keys: &[&str]) -> bool {
    path.len() == keys.len() && overlap(path, keys)
}

/// As the grants file writes it.
pub(super) fn text(path: &Path<'_>) -> String {
    let words: Vec<&str> = path
        .iter()
        .map(|step| match step {
            Step::Key(key) if is_index(key) => "*",
            Step::Key(key) => key,
            Step::Element => "*",
        })
        .collect();
    words.join(".")
}

/// As [`text`], for people: the keys are a guest's, and may be anything.
pub(super) fn shown(path: &Path<'_>) -> String {
    super::shape::shown_to(&text(path), SHOWN_MAX_CHARS)
}

/// Takes a field apart that somebody else wrote as text: `spec.containers[0].image`, `.spec.replicas`.
pub(super) fn of_text(text: &str) -> Vec<Step<'_>> {
    let mut path = Vec::new();
    let mut rest = text.strip_prefix('.').unwrap_or(text);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (key, after) = inside.split_once(']').unwrap_or((inside, ""));
            path.push(if is_index(key) { Step::Element } else { Step::Key(key) });
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            path.push(Step::Key(key));
            rest = after.strip_prefix('.').unwrap_or(after);
        }
    }
    path
}

fn is_index(key: &str) -> bool {
    key == "-" || !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

//! A string of the flow's own text that starts with `$`: a plain path, walked here, or a jq program.

use crate::program::Program;

/// References within references: `$a[$b[$c.key].x]`.
const DEPTH: usize = 16;

/// One part of a plain path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Segment {
    /// `.name` or `["name"]`.
    Key(String),
    /// `[3]`.
    Index(usize),
    /// `.$name`.
    Inner(String),
    /// `[$r.key]`.
    Dynamic(Plain),
}

/// `$root.a.b[0]`: the grammar of the first version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plain {
    pub(crate) root: String,
    pub(crate) segments: Vec<Segment>,
    /// As written, for messages.
    pub(crate) text: String,
}

impl Plain {
    /// Whether the path may lead to what a step was given. It cannot once it goes into a step's other members.
    pub(crate) fn may_read_step_inputs(&self) -> bool {
        let mut segments = self.segments.as_slice();
        while let [Segment::Index(_) | Segment::Dynamic(_), _, rest @ ..] = segments {
            segments = rest;
        }
        let elsewhere = ["outputs", "val", "key"];
        let member = matches!(segments.first(), Some(Segment::Key(key)) if elsewhere.contains(&key.as_str()));
        let within = |segment: &Segment| matches!(segment, Segment::Dynamic(inner) if inner.may_read_step_inputs());
        (self.root != "inputs" && !member) || self.segments.iter().any(within)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reference {
    Plain(Plain),
    Program(Program),
}

/// Reads `text`, which starts with a `$`. `known` says whether a name is a step in scope, or `inputs`.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub(crate) fn read(text: &str, known: &dyn Fn(&str) -> bool) -> Result<Reference, String> {
    if let Some((plain, "")) = plain(text) {
        let unknown = roots(&plain).into_iter().find(|root| !known(root));
        return match unknown {
            None => Ok(Reference::Plain(plain)),
            Some(root) => Err(unknown_name(root)),
        };
    }
    Program::read(text, known).map(Reference::Program)
}

pub(crate) fn unknown_name(root: &str) -> String {
    format!("`${root}` is neither `$inputs` nor a step that comes before; a literal `$` is written `$$`")
}

/// The names that a path starts from, the inner ones of `[$r.key]` included.
pub(crate) fn roots(plain: &Plain) -> Vec<&str> {
    let mut all = vec![plain.root.as_str()];
    for segment in &plain.segments {
        if let Segment::Dynamic(inner) = segment {
            all.extend(roots(inner));
        }
    }
    all
}

/// The longest plain path at the start of `text`, and what follows it.
pub(crate) fn plain(text: &str) -> Option<(Plain, &str)> {
    plain_within(text, DEPTH)
}

fn plain_within(text: &str, depth: usize) -> Option<(Plain, &str)> {
    let after = text.strip_prefix('$')?;
    let (root, mut rest) = match after.strip_prefix("[\"") {
        Some(quoted) => quoted.split_once("\"]")?,
        None => name(after)?,
    };
    let mut segments = Vec::new();
    while let Some((segment, after)) = segment(rest, depth) {
        segments.push(segment);
        rest = after;
    }
    let text = text.get(..text.len() - rest.len())?.to_owned();
    Some((Plain { root: root.to_owned(), segments, text }, rest))
}

fn segment(text: &str, depth: usize) -> Option<(Segment, &str)> {
    if let Some(after) = text.strip_prefix(".$") {
        let (name, rest) = name(after)?;
        return Some((Segment::Inner(name.to_owned()), rest));
    }
    if let Some(after) = text.strip_prefix("[\"").or_else(|| text.strip_prefix(".[\"")) {
        let (name, rest) = after.split_once("\"]")?;
        let escaped = name.contains(['"', '\\']);
        return (!escaped).then(|| (Segment::Key(name.to_owned()), rest));
    }
    if let Some(after) = text.strip_prefix('[') {
        if after.starts_with('$') {
            let (inner, rest) = plain_within(after, depth.checked_sub(1)?)?;
            return Some((Segment::Dynamic(inner), rest.strip_prefix(']')?));
        }
        let (digits, rest) = after.split_once(']')?;
        let index = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        return Some((Segment::Index(index), rest));
    }
    // A jq name starts with a letter, a step's id may start with a digit.
    let (name, rest) = name(text.strip_prefix('.')?)?;
    Some((Segment::Key(name.to_owned()), rest))
}

fn name(text: &str) -> Option<(&str, &str)> {
    let length = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    text.split_at_checked(length).filter(|(name, _)| !name.is_empty())
}

//! A string of the flow's own text that starts with `$`: a plain path, walked here, or a jq program.

use crate::token::{Token, split};

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

/// A jq program with its step variables renamed to names that jq accepts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Program {
    pub(crate) text: String,
    /// The jq variable and the step id (or `inputs`) that it stands for.
    pub(crate) variables: Vec<(String, String)>,
    /// As written, for messages.
    pub(crate) source: String,
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
        let mut unknown = roots(&plain).into_iter().filter(|root| !known(root));
        return match unknown.next() {
            None => Ok(Reference::Plain(plain)),
            Some(root) => Err(unknown_name(root)),
        };
    }
    let tokens = split(text)?;
    match tokens.first() {
        Some(Token::Variable(root)) if known(root) => {}
        Some(Token::Variable(root)) => return Err(unknown_name(root)),
        _ => return Err(format!("`{text}` starts with `$` but names nothing; a literal `$` is written `$$`")),
    }
    let (mut program, mut variables) = (String::with_capacity(text.len() + 16), Vec::new());
    for token in tokens {
        match token {
            Token::Text(text) => program.push_str(text),
            Token::Inner(name) => {
                program.push_str("[\"");
                program.push_str(&name);
                program.push_str("\"]");
            }
            Token::Variable(name) if known(&name) => {
                let variable = variable_name(&name);
                program.push_str(&variable);
                if !variables.iter().any(|(existing, _)| *existing == variable) {
                    variables.push((variable, name));
                }
            }
            // Bound by the program itself (`as $x`), or refused by the evaluator.
            Token::Variable(name) => {
                program.push('$');
                program.push_str(&name);
            }
        }
    }
    Ok(Reference::Program(Program { text: program, variables, source: text.to_owned() }))
}

fn unknown_name(root: &str) -> String {
    format!("`${root}` is neither `$inputs` nor a step that comes before; a literal `$` is written `$$`")
}

/// A jq variable for a step id, injective: ids that are jq names keep theirs.
fn variable_name(id: &str) -> String {
    let plain = !id.starts_with(|c: char| c.is_ascii_digit())
        && !id.starts_with("id__")
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain {
        return format!("${id}");
    }
    id.bytes().fold(String::from("$id__"), |mut name, byte| {
        name.push_str(&format!("{byte:02x}"));
        name
    })
}

fn roots(plain: &Plain) -> Vec<&str> {
    let mut all = vec![plain.root.as_str()];
    for segment in &plain.segments {
        if let Segment::Dynamic(inner) = segment {
            all.extend(roots(inner));
        }
    }
    all
}

/// The longest plain path at the start of `text`, and what follows it.
fn plain(text: &str) -> Option<(Plain, &str)> {
    let mut rest = text.strip_prefix('$')?;
    let root = if let Some(quoted) = rest.strip_prefix("[\"") {
        let (name, after) = quoted.split_once("\"]")?;
        rest = after;
        name
    } else {
        take_name(&mut rest)?
    };
    let mut segments = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix(".$") {
            rest = after;
            segments.push(Segment::Inner(take_name(&mut rest)?.to_owned()));
        } else if let Some(after) = rest.strip_prefix("[\"").or_else(|| rest.strip_prefix(".[\"")) {
            let (name, after) = after.split_once("\"]")?;
            if name.contains('\\') {
                return None;
            }
            rest = after;
            segments.push(Segment::Key(name.to_owned()));
        } else if let Some(after) = rest.strip_prefix('[') {
            if after.starts_with('$') {
                let (inner, after) = plain(after)?;
                rest = after.strip_prefix(']')?;
                segments.push(Segment::Dynamic(inner));
            } else {
                let (digits, after) = after.split_once(']')?;
                rest = after;
                segments.push(Segment::Index(digits.parse().ok()?));
            }
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            segments.push(Segment::Key(take_name(&mut rest)?.to_owned()));
        } else {
            let consumed = text.len() - rest.len();
            let text = text.get(..consumed)?.to_owned();
            return Some((Plain { root: root.to_owned(), segments, text }, rest));
        }
    }
}

fn take_name<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let (name, after) = rest.split_at_checked(length)?;
    *rest = after;
    (length > 0).then_some(name)
}

//! A reference that is more than a plain path: a jq program, rewritten so that jq knows its variables, and told apart by
//! what it reads, so that no more than that is copied to the evaluator.

use crate::{
    reference::{Plain, Segment, plain, roots, unknown_name},
    token::{Token, split, string_end},
};

/// A jq program over `$inputs` and the steps that it names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Program {
    /// With variables that jq accepts.
    pub(crate) text: String,
    pub(crate) variables: Vec<Variable>,
    /// Whether the program can see its `.`.
    pub(crate) reads_dot: bool,
    /// Whether it may read what a step was given.
    pub(crate) reads_step_inputs: bool,
    /// As written, for messages.
    pub(crate) source: String,
}

/// A variable of a program.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Variable {
    /// jq's name, with its `$`.
    pub(crate) name: String,
    /// The step's id, or `inputs`.
    pub(crate) root: String,
    pub(crate) reads: Reads,
}

/// What a program can see of a variable that is an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reads {
    Whole,
    /// Members and iterations: the first segments of every path that starts at the variable. jq changes nothing through
    /// a variable, so the rest of the object cannot show.
    Parts(Vec<Segment>),
}

impl Program {
    /// Reads `text`, which starts with a `$`. `known` says whether a name is a step in scope, or `inputs`.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be right.
    pub(crate) fn read(text: &str, known: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        let tokens = split(text)?;
        match tokens.first() {
            Some((_, Token::Variable(root))) if known(root) => {}
            Some((_, Token::Variable(root))) => return Err(unknown_name(root)),
            _ => return Err(format!("`{text}` starts with `$` but names nothing; a literal `$` is written `$$`")),
        }
        // A name that the program binds itself may hide a step's.
        let binds = ["as", "def"].iter().any(|word| text.contains(word));
        let mut reads_step_inputs = false;
        let (mut program, mut variables) = (String::with_capacity(text.len() + 16), Vec::new());
        for (at, token) in tokens {
            match token {
                Token::Text(text) => program.push_str(text),
                Token::Inner(name) => {
                    program.push_str(".[\"");
                    program.push_str(&name);
                    program.push_str("\"]");
                }
                Token::Variable(name) if known(&name) => {
                    let path = text.get(at..).and_then(plain).map(|(plain, _)| plain);
                    reads_step_inputs |= path.as_ref().is_none_or(Plain::may_read_step_inputs);
                    let read = path.as_ref().and_then(|path| first(path, binds, known));
                    let name = note(&mut variables, name, read.cloned());
                    program.push_str(&name);
                }
                // Bound by the program itself (`as $x`), or refused by the evaluator.
                Token::Variable(name) => {
                    program.push('$');
                    program.push_str(&name);
                }
            }
        }
        Ok(Self { text: program, variables, reads_dot: reads_dot(text), reads_step_inputs, source: text.to_owned() })
    }

    /// Whether agents of the first version run it: there, the whole of `$inputs…` was a jq program over the inputs.
    pub(crate) fn is_of_the_first_version(&self) -> bool {
        self.variables.iter().all(|variable| variable.root == "inputs") && self.source.matches("$inputs").count() == 1
    }
}

/// The part of its variable that a path reads, if it is no more than a part.
fn first<'a>(path: &'a Plain, binds: bool, known: &dyn Fn(&str) -> bool) -> Option<&'a Segment> {
    path.segments.first().filter(|segment| match segment {
        Segment::Key(_) => true,
        Segment::Index(_) => path.root != "inputs",
        Segment::Dynamic(inner) => path.root != "inputs" && !binds && roots(inner).into_iter().all(known),
        Segment::Inner(_) => false,
    })
}

/// Notes what is read of a variable, and gives jq's name of it.
fn note(variables: &mut Vec<Variable>, root: String, read: Option<Segment>) -> String {
    let name = variable_name(&root);
    let Some(variable) = variables.iter_mut().find(|variable| variable.root == root) else {
        let reads = read.map_or(Reads::Whole, |part| Reads::Parts(vec![part]));
        variables.push(Variable { name: name.clone(), root, reads });
        return name;
    };
    match (&mut variable.reads, read) {
        (Reads::Parts(parts), Some(part)) if parts.contains(&part) => {}
        (Reads::Parts(parts), Some(part)) => parts.push(part),
        (reads, _) => *reads = Reads::Whole,
    }
    name
}

/// A jq variable for a step id, injective: ids that are jq names keep theirs, unless jq gives them a meaning.
fn variable_name(id: &str) -> String {
    let plain = !id.starts_with(|c: char| c.is_ascii_digit())
        && !id.starts_with("id__")
        && !id.starts_with("__")
        && id != "ENV"
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain {
        return format!("${id}");
    }
    id.bytes().fold(String::from("$id__"), |mut name, byte| {
        name.push_str(&format!("{byte:02x}"));
        name
    })
}

/// False where the program certainly does not see its `.`: up to its first pipe it has only paths from variables,
/// literals and operators, and behind a pipe `.` is something else.
fn reads_dot(program: &str) -> bool {
    let bytes = program.as_bytes();
    let mut at = 0;
    // Open parentheses of the program, and of each string interpolation that is open.
    let mut open = vec![0_usize];
    while let Some(byte) = bytes.get(at) {
        let next = match byte {
            b'$' => program.get(at..).and_then(plain).map(|(_, rest)| program.len() - rest.len()),
            b'|' if open == [0] && bytes.get(at + 1) != Some(&b'=') => return false,
            b'"' => string_end(bytes, at + 1, &mut open).ok(),
            b'(' => open.last_mut().map(|count| {
                *count += 1;
                at + 1
            }),
            b')' => match open.last_mut() {
                Some(0) => {
                    open.pop();
                    string_end(bytes, at + 1, &mut open).ok().filter(|_| !open.is_empty())
                }
                count => count.map(|count| {
                    *count -= 1;
                    at + 1
                }),
            },
            b'.' => at.checked_sub(1).and_then(|at| bytes.get(at)).filter(|byte| byte.is_ascii_digit()).map(|_| at + 1),
            b' ' | b'\n' | b'\t' | b'\r' | b'0'..=b'9' => Some(at + 1),
            b'+' | b'-' | b'*' | b'/' | b'%' | b'=' | b'!' | b'<' | b'>' | b',' => Some(at + 1),
            _ => program.get(at..).and_then(literal_word).map(|length| at + length),
        };
        match next {
            Some(next) => at = next,
            None => return true,
        }
    }
    false
}

/// The length of a word that does not see `.`.
fn literal_word(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    ["and", "or", "true", "false", "null"].contains(&text.get(..end)?).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::{Program, reads_dot};

    #[test]
    fn a_program_that_cannot_see_its_dot_is_not_given_one() {
        for program in [
            "$r.val * 2",
            "$inputs.x // 1",
            "$inputs.items | map(.name)",
            "$r[$r.key].$p.outputs + \"x\" | length",
            "($s.outputs, $s.inputs) | .a",
            "$inputs.name + \"-\\($r.key) \\(\"x\\($r.val)\" + (1.5))\" | .[0]",
            "$a.outputs == true and $b.outputs != null",
        ] {
            assert!(!reads_dot(program), "{program}");
        }
        for program in [
            "$inputs.x + .z",
            "$r.val + length",
            "$r.val as $x | . + $x",
            "$r.val |= .",
            "[$r.val, .x]",
            "(. | $r.val) | .x",
            "$r.val + \"\\(.x)\"",
            "$r.val + (1 | .)",
            "$r.val + \"\\($r.key | .)\"",
            "$r.val + \"\\($r.key)\" + .x",
            "$r.val) | .",
        ] {
            assert!(reads_dot(program), "{program}");
        }
    }

    #[test]
    fn names_that_jq_cannot_have_or_gives_a_meaning_are_told_apart() {
        let text = |source: &str| Program::read(source, &|_| true).unwrap().text;
        assert_eq!(text("$a + 1"), "$a + 1");
        assert_eq!(text("$ENV + 1"), "$id__454e56 + 1");
        assert_eq!(text("$__loc__ + 1"), "$id__5f5f6c6f635f5f + 1");
        assert_eq!(text("$id__61 + $a"), "$id__69645f5f3631 + $a");
        assert_eq!(text("$1 + $[\"é.b\"]"), "$id__31 + $id__c3a92e62");
    }
}

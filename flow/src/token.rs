//! Just enough of jq's tokens to find variables, strings and comments: references are rewritten on tokens, so a `$` inside
//! a string never is one.

/// A piece of a jq program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// `$name`, `$12`, `$["any text"]`: the name that is meant.
    Variable(String),
    /// `.$name`: an inner step, in the language's own notation.
    Inner(String),
    /// Anything else, as written.
    Text(&'a str),
}

/// Splits `program` into tokens, each with the index where it starts.
///
/// # Errors
/// A sentence that says what does not close.
pub(crate) fn split(program: &str) -> Result<Vec<(usize, Token<'_>)>, String> {
    let bytes = program.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut from) = (0, 0);
    // One entry per open string interpolation: how many parentheses are open inside of it.
    let mut interpolations: Vec<usize> = Vec::new();
    let byte = |at: usize| bytes.get(at).copied();
    while let Some(current) = byte(at) {
        match current {
            b'#' => at = comment_end(program, at),
            b'"' => at = string_end(bytes, at + 1, &mut interpolations)?,
            b'(' => {
                if let Some(open) = interpolations.last_mut() {
                    *open += 1;
                }
                at += 1;
            }
            b')' => match interpolations.last_mut() {
                Some(0) => {
                    interpolations.pop();
                    at = string_end(bytes, at + 1, &mut interpolations)?;
                }
                Some(open) => {
                    *open -= 1;
                    at += 1;
                }
                None => at += 1,
            },
            b'$' => {
                let inner = at > 0 && byte(at - 1) == Some(b'.') && !(at > 1 && byte(at - 2) == Some(b'.'));
                if let Some((name, end)) = variable(program, at + 1)? {
                    let start = if inner { at - 1 } else { at };
                    push_text(&mut tokens, program, from, start);
                    tokens.push((start, if inner { Token::Inner(name) } else { Token::Variable(name) }));
                    at = end;
                    from = end;
                } else {
                    at += 1;
                }
            }
            _ => at += 1,
        }
    }
    if !interpolations.is_empty() {
        return Err("a string interpolation `\\(` is not closed".into());
    }
    push_text(&mut tokens, program, from, bytes.len());
    Ok(tokens)
}

fn push_text<'a>(tokens: &mut Vec<(usize, Token<'a>)>, program: &'a str, from: usize, to: usize) {
    if let Some(text) = program.get(from..to).filter(|text| !text.is_empty()) {
        tokens.push((from, Token::Text(text)));
    }
}

/// The index of the line end that closes a comment: an odd number of backslashes before a line end continues it.
fn comment_end(program: &str, mut at: usize) -> usize {
    while let Some(length) = program.get(at..).and_then(|rest| rest.find('\n')) {
        let line = program.get(at..at + length).unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        at += length;
        if line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0 {
            return at;
        }
        at += 1;
    }
    program.len()
}

/// The index behind the string's closing quote, or behind the `\(` that opens an interpolation.
pub(crate) fn string_end(bytes: &[u8], mut at: usize, interpolations: &mut Vec<usize>) -> Result<usize, String> {
    while let Some(current) = bytes.get(at) {
        match (current, bytes.get(at + 1)) {
            (b'"', _) => return Ok(at + 1),
            (b'\\', Some(b'(')) => {
                interpolations.push(0);
                return Ok(at + 2);
            }
            (b'\\', _) => at += 2,
            _ => at += 1,
        }
    }
    Err("a string is not closed".into())
}

/// The name that starts at `at`, behind its `$`, and the index behind it.
fn variable(program: &str, at: usize) -> Result<Option<(String, usize)>, String> {
    let rest = program.get(at..).unwrap_or_default();
    if let Some(quoted) = rest.strip_prefix("[\"") {
        let close = quoted.find("\"]").ok_or("`$[\"` is not closed by `\"]`")?;
        let name = quoted.get(..close).unwrap_or_default();
        return Ok(Some((name.to_owned(), at + 2 + close + 2)));
    }
    let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    // `$__loc__` and `$ENV` are jq's own; they are left to the evaluator, which refuses what it does not know.
    Ok((length > 0).then(|| (rest.get(..length).unwrap_or_default().to_owned(), at + length)))
}

#[cfg(test)]
mod tests {
    use super::{Token, Token::*};

    fn split(program: &str) -> Result<Vec<Token<'_>>, String> {
        super::split(program).map(|tokens| tokens.into_iter().map(|(_, token)| token).collect())
    }

    #[test]
    fn a_dollar_inside_a_string_is_text_but_inside_an_interpolation_a_variable() {
        let tokens = split(r#"$a.x == "$b \($c | "(") )""#).unwrap();
        assert_eq!(
            tokens,
            [Variable("a".into()), Text(r#".x == "$b \("#), Variable("c".into()), Text(r#" | "(") )""#)]
        );
    }

    #[test]
    fn inner_steps_and_odd_names_are_found() {
        let tokens = split(r#"$r[0].$p.outputs + $["my-step"].outputs + $1"#).unwrap();
        assert_eq!(
            tokens,
            [
                Variable("r".into()),
                Text("[0]"),
                Inner("p".into()),
                Text(".outputs + "),
                Variable("my-step".into()),
                Text(".outputs + "),
                Variable("1".into())
            ]
        );
    }

    #[test]
    fn a_dollar_in_a_comment_is_text() {
        let tokens = split("$a # $b \\\n $c \n + $d").unwrap();
        assert_eq!(tokens, [Variable("a".into()), Text(" # $b \\\n $c \n + "), Variable("d".into())]);
    }

    #[test]
    fn strings_nest_in_interpolations_and_formats() {
        let tokens = split(r#"$a | @json "x\($b | "\($c) $no")" + $d"#).unwrap();
        let names: Vec<_> = tokens.iter().filter(|token| matches!(token, Variable(_))).cloned().collect();
        assert_eq!(names, ["a", "b", "c", "d"].map(|name| Variable(name.into())));
    }

    #[test]
    fn what_does_not_close_is_an_error() {
        for program in [r#"$a "x"#, r#"$a "\(1"#, r#"$["x"#] {
            assert!(split(program).is_err(), "{program}");
        }
    }
}

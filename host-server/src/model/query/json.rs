//! The JSON notation: `{"AND":[{"EQ":{"name":"a"}},{"LIKE":{"summary":"x%"}}]}`.
//!
//! The text is read as it comes, one operator at a time, and nothing is kept of it but what the filter needs.

use super::{
    Filter, Mistake,
    build::{Builder, Literal, Operator, Written, wrong},
};

/// Arrays and objects inside each other, where one is passed over.
const SKIPPED: usize = 32;

pub(super) fn filter(text: &str, builder: &mut Builder) -> Result<Filter, Mistake> {
    let mut reader = Reader::new(text);
    let filter = condition(&mut reader, builder, 0)?;
    reader.end()?;
    Ok(filter)
}

fn condition(reader: &mut Reader<'_>, builder: &mut Builder, depth: usize) -> Result<Filter, Mistake> {
    reader.expect('{', "a condition such as `{\"EQ\":{\"name\":\"a\"}}`")?;
    if reader.take('}') {
        builder.part(reader.at())?;
        return Ok(Filter::default());
    }
    let at = reader.next_at();
    let word = reader.text("an operator's name")?;
    let operator = builder.operator(at, &word, depth)?;
    reader.expect(':', "`:` behind the operator")?;
    let filter = match operator {
        Operator::And | Operator::Or => {
            let parts = conditions(reader, builder, depth + 1)?;
            if operator == Operator::And { Filter::All(parts) } else { Filter::Any(parts) }
        }
        Operator::Not => Filter::Not(Box::new(condition(reader, builder, depth + 1)?)),
        _ => asked(reader, builder, at, operator)?,
    };
    if reader.take(',') {
        return wrong(reader.at(), "one condition has one operator; join several with AND");
    }
    reader.expect('}', "`}` behind the operator's value")?;
    Ok(filter)
}

/// An array of conditions, or one.
fn conditions(reader: &mut Reader<'_>, builder: &mut Builder, depth: usize) -> Result<Vec<Filter>, Mistake> {
    if !reader.take('[') {
        return Ok(vec![condition(reader, builder, depth)?]);
    }
    let mut parts = Vec::new();
    if reader.take(']') {
        return Ok(parts);
    }
    loop {
        parts.push(condition(reader, builder, depth)?);
        if !reader.take(',') {
            reader.expect(']', "`,` or `]` behind a condition")?;
            return Ok(parts);
        }
    }
}

/// `{"column": value}`, or the column alone where nothing is compared.
fn asked(reader: &mut Reader<'_>, builder: &mut Builder, at: usize, operator: Operator) -> Result<Filter, Mistake> {
    if operator == Operator::IsNull && reader.peek() == Some('"') {
        let (place, name) = (reader.next_at(), reader.text("a column's name")?);
        let column = builder.column(place, &name)?;
        return builder.ask(at, operator, column, &[]);
    }
    reader.expect('{', "an object of one column and its value, such as `{\"name\":\"a\"}`")?;
    let (place, name) = (reader.next_at(), reader.text("a column's name")?);
    let column = builder.column(place, &name)?;
    reader.expect(':', "`:` behind the column")?;
    let values = if operator == Operator::IsNull {
        reader.skip(SKIPPED)?;
        vec![]
    } else {
        values(reader, builder)?
    };
    if reader.take(',') {
        return wrong(reader.at(), "one operator takes one column; join several with AND");
    }
    reader.expect('}', "`}` behind the value")?;
    builder.ask(at, operator, column, &values)
}

/// One value, or an array of them.
fn values(reader: &mut Reader<'_>, builder: &mut Builder) -> Result<Vec<Literal>, Mistake> {
    if !reader.take('[') {
        return Ok(vec![reader.literal(builder)?]);
    }
    let mut values = Vec::new();
    if reader.take(']') {
        return Ok(values);
    }
    loop {
        values.push(reader.literal(builder)?);
        if !reader.take(',') {
            reader.expect(']', "`,` or `]` behind a value")?;
            return Ok(values);
        }
    }
}

/// Reads JSON token by token, and knows where it stands.
pub(super) struct Reader<'a> {
    rest: &'a str,
    /// Characters behind.
    behind: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, behind: 0 }
    }

    /// Where the last character that was read stands, from 1.
    pub(super) fn at(&self) -> usize {
        self.behind.max(1)
    }

    /// Where the next token begins.
    pub(super) fn next_at(&mut self) -> usize {
        self.peek();
        self.behind + 1
    }

    fn advance(&mut self, bytes: usize) -> &'a str {
        let (read, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.behind += read.chars().count();
        self.rest = rest;
        read
    }

    /// The next character that is no space.
    pub(super) fn peek(&mut self) -> Option<char> {
        let spaces = self.rest.len() - self.rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.advance(spaces);
        self.rest.chars().next()
    }

    pub(super) fn take(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        if is_next {
            self.advance(c.len_utf8());
        }
        is_next
    }

    pub(super) fn expect(&mut self, c: char, what: &str) -> Result<(), Mistake> {
        if self.take(c) { Ok(()) } else { self.missing(what) }
    }

    pub(super) fn missing<T>(&mut self, what: &str) -> Result<T, Mistake> {
        let at = self.next_at();
        match self.peek() {
            None => wrong(at, format!("the text ends where {what} should stand")),
            Some(_) => wrong(at, format!("{what} should stand here")),
        }
    }

    pub(super) fn end(&mut self) -> Result<(), Mistake> {
        let at = self.next_at();
        if self.peek().is_some() { wrong(at, "the text goes on behind its end") } else { Ok(()) }
    }

    /// A string.
    pub(super) fn text(&mut self, what: &str) -> Result<String, Mistake> {
        let at = self.next_at();
        if self.peek() != Some('"') {
            return self.missing(&format!("{what} in double quotes"));
        }
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, c)| {
            let is_end = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            is_end
        });
        let Some((end, _)) = end else { return wrong(at, "the text that begins here does not end") };
        let token = self.advance(end + 1);
        serde_json::from_str(token)
            .or_else(|_| wrong(at, "this is no JSON string: an escape or a character in it is wrong"))
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<Written, Mistake> {
        let at = self.next_at();
        let end =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(self.rest.len());
        let token = self.advance(end);
        match token {
            "null" => Ok(Written::Null),
            "true" | "false" => Ok(Written::Other("a truth value")),
            number if serde_json::from_str::<serde_json::Number>(number).is_ok() => {
                Ok(Written::Number(number.to_owned()))
            }
            _ => wrong(at, "a value is a text in double quotes or a number"),
        }
    }

    fn literal(&mut self, builder: &mut Builder) -> Result<Literal, Mistake> {
        let at = self.next_at();
        builder.part(at)?;
        let written = match self.peek() {
            Some('"') => Written::Text(self.text("a text")?),
            Some('{') => return wrong(at, "a value is a text or a number, not an object"),
            Some('[') => return wrong(at, "a value is a text or a number, not an array inside an array"),
            _ => self.word()?,
        };
        Ok(Literal { at, written })
    }

    /// Passes over a value of any kind.
    fn skip(&mut self, depth: usize) -> Result<(), Mistake> {
        let Some(depth) = depth.checked_sub(1) else { return wrong(self.at(), "this value is too deep") };
        match self.peek() {
            Some('"') => self.text("a text").map(drop),
            Some('[') => {
                self.take('[');
                while !self.take(']') {
                    self.skip(depth)?;
                    if !self.take(',') {
                        return self.expect(']', "`]`");
                    }
                }
                Ok(())
            }
            Some('{') => {
                self.take('{');
                while !self.take('}') {
                    self.text("a key")?;
                    self.expect(':', "`:`")?;
                    self.skip(depth)?;
                    if !self.take(',') {
                        return self.expect('}', "`}`");
                    }
                }
                Ok(())
            }
            _ => self.word().map(drop),
        }
    }

    /// A number or a text of digits, for pages.
    pub(super) fn digits(&mut self) -> Result<String, Mistake> {
        if self.peek() == Some('"') {
            return self.text("a number");
        }
        let at = self.next_at();
        match self.word()? {
            Written::Number(digits) => Ok(digits),
            _ => wrong(at, "a number should stand here"),
        }
    }
}

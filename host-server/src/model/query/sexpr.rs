//! The S-expression notation: `(AND (EQ name a) (LIKE summary "x%"))`.

use super::{
    Filter, Mistake,
    build::{Builder, Literal, Operator, Written, wrong},
    quoted,
};

pub(super) fn filter(text: &str, builder: &mut Builder) -> Result<Filter, Mistake> {
    let mut tokens = Tokens { rest: text, behind: 0, ahead: None };
    let filter = condition(&mut tokens, builder, 0)?;
    match tokens.next()? {
        (_, Token::End) => Ok(filter),
        (at, Token::Close) => wrong(at, "this `)` closes nothing"),
        (at, _) => wrong(at, "the text goes on behind its end; join conditions with AND"),
    }
}

fn condition(tokens: &mut Tokens<'_>, builder: &mut Builder, depth: usize) -> Result<Filter, Mistake> {
    let (at, token) = tokens.next()?;
    if token != Token::Open {
        return unexpected(at, &token, "a condition such as `(EQ name a)`");
    }
    let (at, token) = tokens.next()?;
    let word = match token {
        Token::Close => {
            builder.part(at)?;
            return Ok(Filter::default());
        }
        Token::Word(word) => word.to_owned(),
        other => return unexpected(at, &other, "an operator"),
    };
    let operator = builder.operator(at, &word, depth)?;
    match operator {
        Operator::And | Operator::Or | Operator::Not => {
            let mut parts = Vec::new();
            while !tokens.closes()? {
                parts.push(condition(tokens, builder, depth + 1)?);
            }
            match (operator, parts.len()) {
                (Operator::And, _) => Ok(Filter::All(parts)),
                (Operator::Or, _) => Ok(Filter::Any(parts)),
                (_, 1) => Ok(Filter::Not(Box::new(parts.pop().unwrap_or_default()))),
                (_, count) => wrong(at, format!("NOT takes one condition, not {count}")),
            }
        }
        _ => {
            let (place, token) = tokens.next()?;
            let name = match token {
                Token::Word(name) => name.to_owned(),
                Token::Text(name) => name,
                other => return unexpected(place, &other, "a column's name"),
            };
            let column = builder.column(place, &name)?;
            let values = values(tokens, builder)?;
            if operator == Operator::IsNull && values.len() > 1 {
                return wrong(at, "ISNULL takes a column alone");
            }
            builder.ask(at, operator, column, &values)
        }
    }
}

/// What stands before the closing parenthesis: values, or one list of them.
fn values(tokens: &mut Tokens<'_>, builder: &mut Builder) -> Result<Vec<Literal>, Mistake> {
    let mut values = Vec::new();
    let mut list = None;
    loop {
        let (at, token) = tokens.next()?;
        if let (Some(first), false) = (list, token == Token::Close) {
            return wrong(first, "a list stands alone, such as `(IN name '(a b))`");
        }
        let written = match token {
            Token::Close => return Ok(values),
            Token::List if values.is_empty() => {
                list = Some(at);
                while !tokens.closes()? {
                    let (at, token) = tokens.next()?;
                    values.push(literal(builder, at, token)?);
                }
                continue;
            }
            Token::List => return wrong(at, "a list stands alone, such as `(IN name '(a b))`"),
            other => literal(builder, at, other)?,
        };
        values.push(written);
    }
}

fn literal(builder: &mut Builder, at: usize, token: Token<'_>) -> Result<Literal, Mistake> {
    builder.part(at)?;
    let written = match token {
        Token::Word(word) if is_number(word) => Written::Number(word.to_owned()),
        Token::Word(word) => Written::Text(word.to_owned()),
        Token::Text(text) => Written::Text(text),
        other => return unexpected(at, &other, "a word, a number or a text in double quotes"),
    };
    Ok(Literal { at, written })
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn unexpected<T>(at: usize, token: &Token<'_>, what: &str) -> Result<T, Mistake> {
    let found = match token {
        Token::Open => "`(`".to_owned(),
        Token::List => "`'(`".to_owned(),
        Token::Close => "`)`".to_owned(),
        Token::Word(word) => quoted(word),
        Token::Text(text) => quoted(text),
        Token::End => return wrong(at, format!("the text ends where {what} should stand")),
    };
    wrong(at, format!("{what} should stand here, not {found}"))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Open,
    /// `'(`.
    List,
    Close,
    Word(&'a str),
    Text(String),
    End,
}

struct Tokens<'a> {
    rest: &'a str,
    /// Characters behind.
    behind: usize,
    ahead: Option<(usize, Token<'a>)>,
}

impl<'a> Tokens<'a> {
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (read, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.behind += read.chars().count();
        self.rest = rest;
        read
    }

    /// Takes the closing parenthesis if it is next.
    fn closes(&mut self) -> Result<bool, Mistake> {
        let next = self.next()?;
        if next.1 == Token::Close {
            return Ok(true);
        }
        self.ahead = Some(next);
        Ok(false)
    }

    /// The next token and where it begins.
    fn next(&mut self) -> Result<(usize, Token<'a>), Mistake> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(ahead);
        }
        self.advance(self.rest.len() - self.rest.trim_start().len());
        let at = self.behind + 1;
        let mut chars = self.rest.chars();
        let token = match (chars.next(), chars.next()) {
            (None, _) => Token::End,
            (Some('('), _) => self.sign(1, Token::Open),
            (Some(')'), _) => self.sign(1, Token::Close),
            (Some('\''), Some('(')) => self.sign(2, Token::List),
            (Some('\''), _) => return wrong(at, "`'` begins a list such as `'(a b)`; texts stand in double quotes"),
            (Some('"'), _) => Token::Text(self.text(at)?),
            (Some(_), _) => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'');
                let end = self.rest.find(ends).unwrap_or(self.rest.len());
                Token::Word(self.advance(end))
            }
        };
        Ok((at, token))
    }

    fn sign(&mut self, bytes: usize, token: Token<'a>) -> Token<'a> {
        self.advance(bytes);
        token
    }

    /// A text in double quotes. `\"` and `\\` are what they would be without the backslash; another backslash is itself.
    fn text(&mut self, at: usize) -> Result<String, Mistake> {
        self.advance(1);
        let mut text = String::new();
        let mut rest = self.rest.char_indices().peekable();
        while let Some((index, c)) = rest.next() {
            match c {
                '"' => {
                    self.advance(index + 1);
                    return Ok(text);
                }
                '\\' => match rest.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                    Some((_, plain)) => text.push(plain),
                    None => text.push('\\'),
                },
                c => text.push(c),
            }
        }
        wrong(at, "the text that begins here does not end")
    }
}

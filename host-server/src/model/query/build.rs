//! What both notations share: a budget, operators, and values of a column's type.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::{Column, Comparison, DEPTH, Filter, Kind, Mistake, PARTS, Pattern, Resource, Test, Value, hint, quoted};

/// A pattern at most, characters.
const PATTERN_CHARS: usize = 1_024;
const WORDS: [&str; 12] = ["EQ", "GT", "LT", "GTE", "LTE", "LIKE", "ISNULL", "IN", "BETWEEN", "AND", "OR", "NOT"];

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    And,
    Or,
    Not,
    Compare(Comparison),
    Like,
    IsNull,
    In,
    Between,
}

/// A value as it was written, and where.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    pub(super) at: usize,
    pub(super) written: Written,
}

#[derive(Clone, Debug)]
pub(super) enum Written {
    Text(String),
    /// In the writer's own digits: against a text column they are text.
    Number(String),
    Null,
    /// What no column holds: a truth value, an object, an array inside an array.
    Other(&'static str),
}

pub(super) struct Builder {
    resource: Resource,
    parts: usize,
}

pub(super) fn wrong<T>(at: usize, message: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { at, message: message.into() })
}

impl Builder {
    pub(super) fn new(resource: Resource) -> Self {
        Self { resource, parts: 0 }
    }

    /// Counts an operator or a value, before it is kept.
    pub(super) fn part(&mut self, at: usize) -> Result<(), Mistake> {
        self.parts += 1;
        if self.parts > PARTS {
            return wrong(at, format!("the query has more than {PARTS} operators and values"));
        }
        Ok(())
    }

    /// The operator of a word. `depth`: operators around it.
    pub(super) fn operator(&mut self, at: usize, word: &str, depth: usize) -> Result<Operator, Mistake> {
        self.part(at)?;
        if depth >= DEPTH {
            return wrong(at, format!("more than {DEPTH} operators stand inside each other"));
        }
        Ok(match word.to_ascii_lowercase().as_str() {
            "and" => Operator::And,
            "or" => Operator::Or,
            "not" => Operator::Not,
            "eq" | "equal" => Operator::Compare(Comparison::Equal),
            "gt" => Operator::Compare(Comparison::Greater),
            "lt" => Operator::Compare(Comparison::Less),
            "ge" | "gte" => Operator::Compare(Comparison::GreaterOrEqual),
            "le" | "lte" => Operator::Compare(Comparison::LessOrEqual),
            "like" => Operator::Like,
            "isnull" => Operator::IsNull,
            "in" => Operator::In,
            "between" => Operator::Between,
            _ => {
                let (word, hint, words) = (quoted(word), hint(word, WORDS), WORDS.join(", "));
                return wrong(at, format!("there is no operator {word}{hint} (operators: {words}, in any case)"));
            }
        })
    }

    /// The column of a name.
    pub(super) fn column(&self, at: usize, name: &str) -> Result<&'static Column, Mistake> {
        self.resource.known(name).map_err(|message| Mistake { at, message })
    }

    /// What `operator` asks of `column`. `at`: where the operator stands.
    pub(super) fn ask(
        &self,
        at: usize,
        operator: Operator,
        column: &'static Column,
        values: &[Literal],
    ) -> Result<Filter, Mistake> {
        if column.kind == Kind::Secret && operator != Operator::Compare(Comparison::Equal) {
            return wrong(at, format!("`{}` is a secret: it can be compared with EQ alone", column.name));
        }
        let test = match (operator, values) {
            (Operator::Compare(comparison), [value]) => Test::Compare(comparison, typed(column, value)?),
            (Operator::Compare(_), _) => {
                return wrong(at, format!("a comparison of `{}` takes one value, not {}", column.name, values.len()));
            }
            (Operator::Like, [value]) => Test::Like(pattern(column, value)?),
            (Operator::Like, _) => {
                return wrong(at, format!("LIKE takes one pattern such as \"x%\", not {} values", values.len()));
            }
            (Operator::IsNull, _) => Test::Null,
            (Operator::In, values) => {
                Test::In(values.iter().map(|value| typed(column, value)).collect::<Result<_, _>>()?)
            }
            (Operator::Between, [from, to]) => Test::Between(typed(column, from)?, typed(column, to)?),
            (Operator::Between, _) => {
                return wrong(
                    at,
                    format!("BETWEEN takes two values, the lowest and the highest, not {}", values.len()),
                );
            }
            (Operator::And | Operator::Or | Operator::Not, _) => {
                return wrong(at, "AND, OR and NOT take conditions, not a column");
            }
        };
        Ok(Filter::Is(column, test))
    }
}

fn typed(column: &'static Column, literal: &Literal) -> Result<Value, Mistake> {
    let Literal { at, written } = literal;
    match (&column.kind, written) {
        (_, Written::Null) => {
            wrong(*at, format!("nothing equals null; ISNULL asks whether `{}` is absent", column.name))
        }
        (_, Written::Other(what)) => {
            wrong(*at, format!("`{}` is compared with a text or a number, not {what}", column.name))
        }
        (Kind::Number, Written::Text(text) | Written::Number(text)) => match text.trim().parse() {
            Ok(number) => Ok(Value::Integer(number)),
            Err(_) => wrong(*at, format!("`{}` is a whole number of 64 bits, not {}", column.name, quoted(text))),
        },
        (Kind::Time, Written::Text(text)) => match moment(text.trim()) {
            Some(us) => Ok(Value::Integer(us)),
            None => wrong(
                *at,
                format!("`{}` is a time such as 2026-11-23T09:51:46Z or 2026-11-23, not {}", column.name, quoted(text)),
            ),
        },
        (Kind::Time, Written::Number(text)) => wrong(
            *at,
            format!("`{}` is a time such as \"2026-11-23T09:51:46Z\", not the number {}", column.name, quoted(text)),
        ),
        (_, Written::Text(text) | Written::Number(text)) => {
            no_nul(*at, text)?;
            Ok(Value::Text(column.normal(text.clone())))
        }
    }
}

fn pattern(column: &'static Column, literal: &Literal) -> Result<Pattern, Mistake> {
    let at = literal.at;
    if matches!(column.kind, Kind::Number | Kind::Time) {
        return wrong(at, format!("`{}` is no text, which LIKE is for; use BETWEEN", column.name));
    }
    let (Written::Text(text) | Written::Number(text)) = &literal.written else {
        return wrong(at, "LIKE takes a pattern such as \"x%\"");
    };
    no_nul(at, text)?;
    if text.chars().nth(PATTERN_CHARS).is_some() {
        return wrong(at, format!("a pattern has at most {PATTERN_CHARS} characters"));
    }
    Ok(Pattern::read(text))
}

/// No stored text has the character, and engines end a text at it.
fn no_nul(at: usize, text: &str) -> Result<(), Mistake> {
    if text.contains('\0') { wrong(at, "a text cannot hold the character NUL") } else { Ok(()) }
}

/// A time as people and the first version's scripts write it, UTC where nothing else is said; microseconds since 1970.
fn moment(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let time = formats.into_iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    time.or_else(day).map(|time| time.and_utc().timestamp_micros())
}

//! The query language of lists: `q` says which rows, `o` in which order, `p` which page.
//!
//! Two notations, JSON and S-expressions, become one [`Filter`]. Columns come from a fixed list per resource and every value
//! has its column's type, so that nothing of a caller's text but values reaches a database. A text is measured before anything
//! of it is read: its bytes, its depth and the number of its parts have limits.

mod build;
mod column;
mod fold;
mod inspect;
mod json;
mod page;
mod pattern;
mod sexpr;

pub use column::{Column, Kind, Resource};
pub use fold::{fold, forms};
pub use inspect::Bounds;
pub use page::{Order, Paging, order, paging};
pub use pattern::{Pattern, Piece};

use build::Builder;

/// A query's text at most, bytes.
pub const QUERY_BYTES: usize = 16 << 10;
/// Operators inside each other at most.
pub const DEPTH: usize = 16;
/// Operators and values together at most.
pub const PARTS: usize = 1_024;

/// Which rows a list shows. As in SQL, a comparison with an absent value is neither true nor false, nor is its negation: it
/// shows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Each of them holds; none of them is everything.
    All(Vec<Filter>),
    /// One of them holds; none of them is nothing.
    Any(Vec<Filter>),
    /// It is false.
    Not(Box<Filter>),
    /// What is asked of a column.
    Is(&'static Column, Test),
}

/// What is asked of a column's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Texts compare without case and by their characters' numbers.
    Compare(Comparison, Value),
    /// Without case.
    Like(Pattern),
    /// It is absent.
    Null,
    /// It equals one of them.
    In(Vec<Value>),
    /// From the first to the second, both included.
    Between(Value, Value),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
}

/// A value of a column's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of texts and uuids.
    Text(String),
    /// Of numbers; of times, microseconds since 1970.
    Integer(i64),
}

/// What is wrong with a text, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("character {at}: {message}")]
pub struct Mistake {
    /// Of the text, counted from 1.
    pub at: usize,
    /// One sentence.
    pub message: String,
}

impl Default for Filter {
    fn default() -> Self {
        Self::All(vec![])
    }
}

impl Filter {
    /// A comparison with one value.
    #[must_use]
    pub fn compare(column: &'static Column, comparison: Comparison, value: Value) -> Self {
        Self::Is(column, Test::Compare(comparison, value))
    }

    /// The rows whose column equals one of these texts: none of them is no row.
    #[must_use]
    pub fn one_of(column: &'static Column, texts: impl IntoIterator<Item = String>) -> Self {
        Self::Is(column, Test::In(texts.into_iter().map(|text| Value::Text(column.normal(text))).collect()))
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All(mut parts), Self::All(others)) => {
                parts.extend(others);
                Self::All(parts)
            }
            (Self::All(mut parts), other) => {
                parts.push(other);
                Self::All(parts)
            }
            (one, Self::All(mut parts)) => {
                parts.insert(0, one);
                Self::All(parts)
            }
            (one, other) => Self::All(vec![one, other]),
        }
    }
}

/// Reads `q`, in either notation.
///
/// # Errors
/// [`Mistake`] that says where the text is wrong and what would be right.
pub fn parse(resource: Resource, text: &str) -> Result<Filter, Mistake> {
    if text.len() > QUERY_BYTES {
        let message = format!("the query has {} bytes; at most {QUERY_BYTES} are read", text.len());
        return Err(Mistake { at: 1, message });
    }
    let mut builder = Builder::new(resource);
    match text.trim_start().chars().next() {
        None => Ok(Filter::default()),
        Some('{') => json::filter(text, &mut builder),
        Some('(') => sexpr::filter(text, &mut builder),
        Some(_) => Err(Mistake {
            at: 1 + text.chars().take_while(|c| c.is_whitespace()).count(),
            message: "a query is JSON such as `{\"EQ\":{\"name\":\"a\"}}` or an S-expression such as `(EQ name a)`"
                .into(),
        }),
    }
}

/// A caller's word as a message may hold it: printable, and not longer than a name is.
fn quoted(word: &str) -> String {
    let end = if word.chars().nth(64).is_some() { "…" } else { "" };
    format!("`{}{end}`", word.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect::<String>())
}

/// `; did you mean …?`, where one of the known words is spelled like `word`.
fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    if word.len() > 64 {
        return String::new();
    }
    let distance = |known: &str| strsim::levenshtein(&known.to_lowercase(), &word.to_lowercase());
    let nearest = known.into_iter().map(|known| (distance(known), known)).min();
    nearest.filter(|(far, _)| *far <= 3).map_or_else(String::new, |(_, known)| format!("; did you mean `{known}`?"))
}

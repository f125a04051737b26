//! JSON as jq sees it. An expression asks and changes nothing, so that updates (`|=`, `del`) are not here; numbers are
//! those of IEEE 754, exact up to 2^53.

use std::{cmp::Ordering, collections::BTreeMap, fmt, ops::Range, rc::Rc};

use jaq_core::{Error, Exn, ValR, ValT, ValX, box_iter::BoxIter, ops::Math, path::Opt};
use serde_json::Value;

/// A value; a copy of it costs nothing.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(super) enum Val {
    Null,
    Bool(bool),
    Number(f64),
    Text(Rc<str>),
    List(Rc<Vec<Val>>),
    Map(Rc<BTreeMap<Rc<str>, Val>>),
}

impl Val {
    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(items))
    }

    pub(super) fn text(&self) -> Result<&Rc<str>, Error<Self>> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(Error::typ(other.clone(), "string")),
        }
    }

    pub(super) fn items(&self) -> Result<&Rc<Vec<Self>>, Error<Self>> {
        match self {
            Self::List(items) => Ok(items),
            other => Err(Error::typ(other.clone(), "array")),
        }
    }

    pub(super) fn number(&self) -> Result<f64, Error<Self>> {
        match self {
            Self::Number(number) => Ok(*number),
            other => Err(Error::typ(other.clone(), "number")),
        }
    }

    /// jq's order of everything; nothing here is not a number.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.partial_cmp(other).unwrap_or(Ordering::Equal)
    }
}

/// Bounds of a slice, counted from the end where they are negative.
fn bounds(range: Range<Option<&Val>>, length: usize) -> Result<Range<usize>, Error<Val>> {
    let place = |bound: Option<&Val>, absent: usize| match bound {
        None | Some(Val::Null) => Ok(absent),
        Some(bound) => bound.number().map(|number| from_end(number, length)),
    };
    let start = place(range.start, 0)?;
    Ok(start..place(range.end, length)?.max(start))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the length")]
fn from_end(number: f64, length: usize) -> usize {
    let length = length as f64;
    let place = if number < 0.0 { number + length } else { number };
    place.clamp(0.0, length) as usize
}

fn unchangeable<T>(value: T, opt: Opt) -> Result<T, Exn<'static, Val>> {
    opt.fail(value, |_| Exn::from(Error::str("an expression changes nothing: no `|=`, `+=`, `del` here")))
}

impl ValT for Val {
    fn from_num(text: &str) -> ValR<Self> {
        text.parse().map(Self::Number).map_err(Error::str)
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> ValR<Self> {
        let entries = entries.into_iter().map(|(key, value)| Ok((key.text()?.clone(), value)));
        entries.collect::<Result<_, Error<Self>>>().map(|map| Self::Map(Rc::new(map)))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        let entries: Vec<(Self, Self)> = match &self {
            Self::List(items) => {
                (0_u32..).zip(items.iter()).map(|(at, it)| (Self::Number(at.into()), it.clone())).collect()
            }
            Self::Map(map) => map.iter().map(|(key, value)| (Self::Text(key.clone()), value.clone())).collect(),
            _ => return Box::new(std::iter::once(Err(Error::typ(self, "iterable (array or object)")))),
        };
        Box::new(entries.into_iter().map(Ok))
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        Box::new(self.key_values().map(|entry| entry.map(|(_, value)| value)))
    }

    fn index(self, index: &Self) -> ValR<Self> {
        Ok(match (&self, index) {
            (Self::Null, Self::Text(_) | Self::Number(_) | Self::Null) => Self::Null,
            (Self::Map(map), Self::Text(key)) => map.get(key).cloned().unwrap_or(Self::Null),
            (Self::List(items), Self::Number(number)) if *number >= -(items.len() as f64) => {
                items.get(from_end(*number, items.len())).cloned().unwrap_or(Self::Null)
            }
            (Self::List(_), Self::Number(_)) => Self::Null,
            _ => return Err(Error::index(self, index.clone())),
        })
    }

    fn range(self, range: Range<Option<&Self>>) -> ValR<Self> {
        match &self {
            Self::Null => Ok(Self::Null),
            Self::List(items) => {
                let range = bounds(range, items.len())?;
                Ok(Self::list(items.get(range).unwrap_or_default().to_vec()))
            }
            Self::Text(text) => {
                let range = bounds(range, text.chars().count())?;
                Ok(text.chars().skip(range.start).take(range.len()).collect::<String>().into())
            }
            _ => Err(Error::typ(self, "rangeable (array or string)")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, _: impl Fn(Self) -> I) -> ValX<'a, Self> {
        unchangeable(self, opt)
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        _: &Self,
        opt: Opt,
        _: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        unchangeable(self, opt)
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        _: Range<Option<&Self>>,
        opt: Opt,
        _: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        unchangeable(self, opt)
    }

    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::Text(_) => self,
            other => other.to_string().into(),
        }
    }
}

impl std::ops::Add for Val {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> ValR<Self> {
        Ok(match (self, other) {
            (Self::Null, value) | (value, Self::Null) => value,
            (Self::Number(left), Self::Number(right)) => Self::Number(left + right),
            (Self::Text(left), Self::Text(right)) => format!("{left}{right}").into(),
            (Self::List(left), Self::List(right)) => left.iter().chain(right.iter()).cloned().collect(),
            (Self::Map(left), Self::Map(right)) => {
                let mut map = (*left).clone();
                map.extend(right.iter().map(|(key, value)| (key.clone(), value.clone())));
                Self::Map(Rc::new(map))
            }
            (left, right) => return Err(Error::math(left, Math::Add, right)),
        })
    }
}

impl std::ops::Sub for Val {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> ValR<Self> {
        Ok(match (self, other) {
            (Self::Number(left), Self::Number(right)) => Self::Number(left - right),
            (Self::List(left), Self::List(right)) => left.iter().filter(|it| !right.contains(it)).cloned().collect(),
            (left, right) => return Err(Error::math(left, Math::Sub, right)),
        })
    }
}

impl std::ops::Div for Val {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> ValR<Self> {
        Ok(match (self, other) {
            (Self::Number(left), Self::Number(right)) => Self::Number(left / right),
            (Self::Text(left), Self::Text(right)) => left.split(&*right).map(|part| part.to_owned().into()).collect(),
            (left, right) => return Err(Error::math(left, Math::Div, right)),
        })
    }
}

macro_rules! of_numbers {
    ($($trait:ident, $function:ident, $operator:tt;)+) => {
        $(impl std::ops::$trait for Val {
            type Output = ValR<Self>;

            fn $function(self, other: Self) -> ValR<Self> {
                match (self, other) {
                    (Self::Number(left), Self::Number(right)) => Ok(Self::Number(left $operator right)),
                    (left, right) => Err(Error::math(left, Math::$trait, right)),
                }
            }
        })+
    };
}

of_numbers! {
    Mul, mul, *;
    Rem, rem, %;
}

impl std::ops::Neg for Val {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        self.number().map(|number| Self::Number(-number))
    }
}

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<isize> for Val {
    fn from(value: isize) -> Self {
        Self::Number(value as f64)
    }
}

impl From<String> for Val {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<Range<Option<Self>>> for Val {
    /// A slice within a path.
    fn from(range: Range<Option<Self>>) -> Self {
        let ends = [("start", range.start), ("end", range.end)];
        let ends = ends.into_iter().filter_map(|(key, end)| Some((Rc::from(key), end?)));
        Self::Map(Rc::new(ends.collect()))
    }
}

impl FromIterator<Self> for Val {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        Self::list(items.into_iter().collect())
    }
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| Value::from(text);
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(value) => write!(f, "{}", text(value)),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("{")?;
                for (index, (key, value)) in map.iter().enumerate() {
                    write!(f, "{}{}:{value}", if index > 0 { "," } else { "" }, text(key))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl From<Value> for Val {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            // One that is too large for a float is the largest, and not nothing.
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::MAX)),
            Value::String(text) => Self::Text(text.into()),
            Value::Array(items) => items.into_iter().map(Self::from).collect(),
            Value::Object(map) => {
                let entries = map.into_iter().map(|(key, value)| (Rc::from(key), Self::from(value)));
                Self::Map(Rc::new(entries.collect()))
            }
        }
    }
}

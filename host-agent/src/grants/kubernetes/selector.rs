//! Label and field selectors, taken apart: a selector over a field that may not be read would tell what it holds.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Invalid,
    path::{Step, of_text},
    shape::{is_label, shown},
};

const TEXT_MAX_BYTES: usize = 4 << 10;
const TERMS_MAX: usize = 64;
const LABEL_NAME_MAX_BYTES: usize = 63;
const LABEL_PREFIX_MAX_BYTES: usize = 253;

/// Selectors whose every field is known. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    labels: Vec<Label>,
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Label {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    Equals(String),
    Differs(String),
    In(Vec<String>),
    NotIn(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    path: String,
    equals: bool,
    value: String,
}

impl Selectors {
    /// Reads both as Kubernetes writes them; empty text selects everything.
    ///
    /// # Errors
    /// Which of the two is none, and why.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, Invalid> {
        for (name, text) in [("labels", labels), ("field-selector", fields)] {
            if text.len() > TEXT_MAX_BYTES {
                return Err(Invalid::new(name, format!("{} bytes; at most {TEXT_MAX_BYTES}", text.len())));
            }
        }
        let refused = |reason| Invalid::new("labels", reason);
        let labels = label_terms(labels).map(label).collect::<Result<_, _>>().map_err(refused)?;
        let refused = |reason| Invalid::new("field-selector", reason);
        let fields = field_terms(fields).iter().map(|term| field(term)).collect::<Result<_, _>>().map_err(refused)?;
        Self { labels, fields }.within_limits()
    }

    /// Labels that are equal to these.
    ///
    /// # Errors
    /// Which key or value is none.
    pub fn equalities(labels: &BTreeMap<String, String>) -> Result<Self, Invalid> {
        let labels = labels.iter().map(|(key, value)| {
            let key = label_key(key)?;
            Ok(Label { key, test: Test::Equals(label_value(value)?) })
        });
        let labels = labels.collect::<Result<_, _>>().map_err(|reason: String| Invalid::new("labels", reason))?;
        Self { labels, fields: Vec::new() }.within_limits()
    }

    /// The same labels, and these fields too.
    ///
    /// # Errors
    /// As in [`Selectors::parse`].
    pub fn and_fields(mut self, fields: &str) -> Result<Self, Invalid> {
        self.fields.extend(Self::parse("", fields)?.fields);
        self.within_limits()
    }

    /// The label selector to send; empty: none.
    #[must_use]
    pub fn labels_text(&self) -> String {
        let terms = self.labels.iter().map(|Label { key, test }| match test {
            Test::Exists => key.clone(),
            Test::Absent => format!("!{key}"),
            Test::Equals(value) => format!("{key}={value}"),
            Test::Differs(value) => format!("{key}!={value}"),
            Test::In(values) => format!("{key} in ({})", values.join(",")),
            Test::NotIn(values) => format!("{key} notin ({})", values.join(",")),
        });
        terms.collect::<Vec<_>>().join(",")
    }

    /// The field selector to send; empty: none.
    #[must_use]
    pub fn fields_text(&self) -> String {
        let terms = self.fields.iter().map(|field| {
            let mut text = format!("{}{}", field.path, if field.equals { "=" } else { "!=" });
            for c in field.value.chars() {
                let escape = if matches!(c, '\\' | ',' | '=') { "\\" } else { "" };
                let _ = write!(text, "{escape}{c}");
            }
            text
        });
        terms.collect::<Vec<_>>().join(",")
    }

    /// The fields whose values a guest learns something of.
    pub(super) fn paths(&self) -> impl Iterator<Item = Vec<Step<'_>>> {
        let labels =
            self.labels.iter().map(|label| vec![Step::Key("metadata"), Step::Key("labels"), Step::Key(&label.key)]);
        labels.chain(self.fields.iter().map(|field| of_text(&field.path)))
    }

    fn within_limits(self) -> Result<Self, Invalid> {
        let terms = self.labels.len() + self.fields.len();
        if terms > TERMS_MAX {
            return Err(Invalid::new("labels", format!("{terms} terms select; at most {TERMS_MAX}")));
        }
        Ok(self)
    }
}

/// The terms between commas that stand in no parentheses.
fn label_terms(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    let terms = text.split(move |c| {
        inside = match c {
            '(' => true,
            ')' => false,
            _ => inside,
        };
        c == ',' && !inside
    });
    terms.map(str::trim).filter(|_| !text.trim().is_empty())
}

fn label(term: &str) -> Result<Label, String> {
    if let Some(key) = term.strip_prefix('!') {
        return Ok(Label { key: label_key(key.trim())?, test: Test::Absent });
    }
    if let Some((head, list)) = term.split_once('(') {
        let list = list.strip_suffix(')').ok_or_else(|| format!("`{}`: a `)` is missing", shown(term)))?;
        let values = list.split(',').map(|value| label_value(value.trim())).collect::<Result<_, _>>()?;
        let mut words = head.split_whitespace();
        let (key, operator) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let test = match (operator, words.next()) {
            ("in", None) => Test::In(values),
            ("notin", None) => Test::NotIn(values),
            _ => return Err(format!("`{}`; write it as app in (a,b) or app notin (a,b)", shown(term))),
        };
        return Ok(Label { key: label_key(key)?, test });
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Ok(Label { key: label_key(key.trim())?, test: Test::Differs(label_value(value.trim())?) });
    }
    if let Some((key, value)) = term.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        return Ok(Label { key: label_key(key.trim())?, test: Test::Equals(label_value(value.trim())?) });
    }
    Ok(Label { key: label_key(term)?, test: Test::Exists })
}

fn label_key(key: &str) -> Result<String, String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefix_is = |prefix: &str| prefix.len() <= LABEL_PREFIX_MAX_BYTES && prefix.split('.').all(is_label);
    if is_label_name(name) && prefix.is_none_or(prefix_is) {
        return Ok(key.to_owned());
    }
    Err(format!("`{}` is no label; write it as app=web or app.kubernetes.io/name=web", shown(key)))
}

fn label_value(value: &str) -> Result<String, String> {
    if value.is_empty() || is_label_name(value) {
        return Ok(value.to_owned());
    }
    Err(format!(
        "`{}` is no label's value: letters, digits, `-`, `_`, `.`, at most {LABEL_NAME_MAX_BYTES}",
        shown(value)
    ))
}

fn is_label_name(name: &str) -> bool {
    let at_the_ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    (1..=LABEL_NAME_MAX_BYTES).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && at_the_ends(name.chars().next())
        && at_the_ends(name.chars().next_back())
}

/// The terms between commas that no backslash stands before.
fn field_terms(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        match c {
            ',' if !escaped => terms.push(String::new()),
            c => terms.iter_mut().rev().take(1).for_each(|term| term.push(c)),
        }
        escaped = c == '\\' && !escaped;
    }
    terms.retain(|term| !term.is_empty() || !text.is_empty());
    terms
}

fn field(term: &str) -> Result<Field, String> {
    let wrong = || format!("`{}`; write it as status.phase=Running or metadata.name!=web", shown(term));
    let (path, rest) = term.split_at(term.find(['=', '!']).ok_or_else(wrong)?);
    let (equals, value) = if let Some(value) = rest.strip_prefix("!=") {
        (false, value)
    } else {
        let value = rest.strip_prefix('=').ok_or_else(wrong)?;
        (true, value.strip_prefix('=').unwrap_or(value))
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let keys = path.split('.').all(|key| !key.is_empty());
    if !keys || !path.chars().all(plain) {
        return Err(wrong());
    }
    Ok(Field { path: path.to_owned(), equals, value: unescape(value).ok_or_else(wrong)? })
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(chars.next().filter(|c| matches!(c, '\\' | ',' | '='))?),
            '=' => return None,
            c if c.is_control() => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}

//! The rule that would allow a request and nothing more, as text that a person pastes into the grants file.

use std::{collections::BTreeSet, ops::ControlFlow};

use super::{
    Kind, Request, Scope, Verb,
    asked::{Asked, Place},
    body::Naming,
    danger, mask,
    path::{self, Path, Step},
};

/// More fields than these are told by what stands above them.
const FIELDS_MAX: usize = 12;
/// A longer rule helps nobody.
const RULE_MAX_BYTES: usize = 4 << 10;
/// Words that YAML takes for something else than text.
const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// What a rule has to say of the fields that are written.
#[derive(Debug, Default)]
pub(super) struct Written {
    fields: BTreeSet<String>,
    /// What to say where there are too many.
    above: BTreeSet<String>,
    dangerous: bool,
    /// A field has a key that no path of a grants file can hold.
    unsayable: bool,
}

impl Written {
    /// Everything that the request writes.
    pub(super) fn of(asked: &Asked<'_>) -> Self {
        let mut written = Self::default();
        let _: ControlFlow<()> = asked.touches(&mut |touch| {
            written.add(asked.kind, touch.path);
            ControlFlow::Continue(())
        });
        written
    }

    pub(super) fn add(&mut self, kind: &Kind, path: &Path<'_>) {
        self.dangerous |= danger::of_field(kind, path).is_some();
        let (above, field) = (path::text(top(path)), path::text(before_elements(path)));
        if !(mask::is_path(&above) && mask::is_path(&field)) {
            self.unsayable = true;
            return;
        }
        self.above.insert(above);
        if self.fields.len() <= FIELDS_MAX {
            self.fields.insert(field);
        }
    }

    fn texts(self) -> BTreeSet<String> {
        topmost(if self.fields.len() > FIELDS_MAX { self.above } else { self.fields })
    }
}

/// The rule, in one line; none where no rule can say it.
pub(super) fn rule(plugin: &str, asked: &Asked<'_>, written: Written) -> Option<String> {
    if written.unsayable {
        return None;
    }
    let mut keys = vec![
        format!("groups: [{}]", word(&asked.kind.group)),
        format!("resources: [{}]", word(&asked.kind.resource())),
        format!("verbs: [{}]", verbs(asked.verb)),
    ];
    match &asked.place {
        Place::One { namespace, naming } => {
            keys.push(match namespace {
                Some(namespace) => format!("namespaces: [{}]", word(namespace)),
                None => "scope: cluster".to_owned(),
            });
            match naming {
                Naming::Name(name) => keys.push(format!("names: [{}]", word(name))),
                Naming::Generated(prefix) => keys.push(format!("names: [{}]", word(&format!("{prefix}*")))),
                Naming::Nameless => {}
            }
        }
        Place::Many(Scope::Cluster) => keys.push("scope: cluster".to_owned()),
        Place::Many(Scope::Namespace(namespace)) => keys.push(format!("namespaces: [{}]", word(namespace.as_str()))),
        Place::Many(Scope::Granted) => keys.push("namespaces: [NAMESPACE]".to_owned()),
    }
    if written.dangerous || danger::of_kind(asked.kind, asked.verb).is_some() {
        keys.push("dangerous: true".to_owned());
    }
    let fields = written.texts();
    if !fields.is_empty() {
        keys.push(format!("write: [{}]", list(&fields)));
    }
    let read = read(asked);
    if !read.is_empty() {
        keys.push(format!("read: [{}]", list(&read)));
    }
    let rule = format!("plugins: {{{}: {{kubernetes: [{{{}}}]}}}}", word(plugin), keys.join(", "));
    (rule.len() <= RULE_MAX_BYTES).then_some(rule)
}

/// Text as YAML writes it: quoted where it would be something else.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    // JSON's quoting is YAML's too.
    if is_word { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

fn verbs(verb: Verb) -> String {
    match verb {
        Verb::Apply | Verb::ForceApply => format!("{verb}, {}", Verb::Create),
        verb => verb.to_string(),
    }
}

fn list(texts: &BTreeSet<String>) -> String {
    texts.iter().map(|text| word(text)).collect::<Vec<_>>().join(", ")
}

/// What the guest wants to see, where it says so, and what it selects by; none: it wants all.
fn read(asked: &Asked<'_>) -> BTreeSet<String> {
    let fields = match asked.request {
        Request::Get { fields, .. } | Request::List { fields, .. } | Request::Watch { fields, .. } => *fields,
        _ => None,
    };
    let Some(fields) = fields else { return BTreeSet::new() };
    let mut read: BTreeSet<String> = fields.texts().iter().cloned().collect();
    let _: ControlFlow<()> = asked.looks(&mut |path| {
        read.insert(path::text(path));
        ControlFlow::Continue(())
    });
    topmost(read)
}

/// A list is written as a whole; what has to be named inside its elements is named there.
fn before_elements<'p>(path: &'p Path<'p>) -> &'p Path<'p> {
    let list = path.iter().position(|step| *step == Step::Element).unwrap_or(path.len());
    let end = path::named_at(path).filter(|named| *named > list).map_or(list, |named| named + 1);
    path.get(..end).unwrap_or(path)
}

/// The key of the object, or of its metadata; what has to be named is named.
fn top<'p>(path: &'p Path<'p>) -> &'p Path<'p> {
    let keys = match (path::named_at(path), path.first()) {
        (Some(at), _) => at + 1,
        (None, Some(Step::Key("metadata"))) => 2,
        (None, _) => 1,
    };
    path.get(..keys).unwrap_or(path)
}

/// Without those below another one, unless they have to be named.
fn topmost(texts: BTreeSet<String>) -> BTreeSet<String> {
    let below = |text: &str, other: &str| {
        let named = |text: &str| path::named_at(&path::of_text(text)).is_some();
        text.strip_prefix(other).is_some_and(|rest| rest.starts_with('.')) && named(text) == named(other)
    };
    texts.iter().filter(|text| !texts.iter().any(|other| below(text, other))).cloned().collect()
}

//! Shape before authority: a guest's text is checked before anything is asked or sent.
//!
//! A client pastes names into a URL as they are: `web-1/log` or `web-1/../../secrets/db` as a name would be another
//! request than the one that was granted. [`Namespace`] and [`Name`] exist only where the text passed.

use std::fmt;

const LABEL_MAX_BYTES: usize = 63;
const NAME_MAX_BYTES: usize = 253;
/// The API server cuts a longer one before it appends its five characters: a glob could match the whole and not the rest.
const GENERATE_NAME_MAX_BYTES: usize = 58;
/// What is shown of a text that is refused.
const SHOWN_MAX_CHARS: usize = 64;

/// A guest's text that is no such thing: code `invalid`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// Which field of the call, such as `namespace` or `patch[2].path`.
    pub field: String,
    /// What is wrong, what would be right.
    pub reason: String,
}

impl Invalid {
    pub(super) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// A namespace: one DNS label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(String);

impl Namespace {
    /// # Errors
    /// When it is no DNS label. Empty is refused too: it would widen a request to every namespace.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if is_label(text) {
            return Ok(Self(text.to_owned()));
        }
        let reason = if text.is_empty() {
            "it is empty; name one, or use the scope `granted` for every namespace of the grant".to_owned()
        } else {
            format!(
                "`{}` is no namespace: lower-case letters, digits and `-`, at most {LABEL_MAX_BYTES}, a letter or digit \
                 at both ends",
                shown(text)
            )
        };
        Err(Invalid::new("namespace", reason))
    }

    /// The label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object's name: one segment of a path, whatever the kind allows beyond that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// # Errors
    /// When it is empty, too long, not one path segment, or holds what no name of an object holds.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        segment(text, NAME_MAX_BYTES).map_err(|reason| Invalid::new("name", reason))?;
        Ok(Self(text.to_owned()))
    }

    /// The segment.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A resource as a guest writes it, checked only to be something that discovery may be asked for. An empty `version` means
/// the preferred one, an empty `subresource` none.
///
/// # Errors
/// Which of the four is wrong, and why.
pub fn resource(group: &str, version: &str, plural: &str, subresource: &str) -> Result<(), Invalid> {
    let refuse = |field: &str, text: &str, right: &str| Invalid::new(field, format!("`{}` is no {right}", shown(text)));
    if !group.is_empty() && (group.len() > NAME_MAX_BYTES || !group.split('.').all(is_label)) {
        return Err(refuse(
            "group",
            group,
            "API group; write it as apps or networking.k8s.io, and empty for the core group",
        ));
    }
    if !version.is_empty() && !is_label(version) {
        return Err(refuse("version", version, "API version; write it as v1 or v1beta1, without the group"));
    }
    if !is_label(plural) {
        return Err(refuse("plural", plural, "plural; write it as deployments, with a subresource apart"));
    }
    if !subresource.is_empty() && !is_label(subresource) {
        return Err(refuse("subresource", subresource, "subresource; write it as scale or log"));
    }
    Ok(())
}

/// A `generateName` whose every result the API server can make without cutting it.
pub(super) fn generate_name(text: &str) -> Result<(), Invalid> {
    let reason = match segment(text, GENERATE_NAME_MAX_BYTES) {
        Err(reason) => reason,
        Ok(()) => return Ok(()),
    };
    Err(Invalid::new("body.metadata.generateName", reason))
}

fn segment(text: &str, most: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty; one object is named".to_owned());
    }
    if text.len() > most {
        return Err(format!("it has {} bytes; at most {most}", text.len()));
    }
    if text == "." || text == ".." {
        return Err(format!("`{text}` is no name"));
    }
    // RBAC's names hold colons; nothing that is stored holds anything beyond these.
    let wrong = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '@')));
    match wrong {
        None => Ok(()),
        Some('/' | '%' | '?' | '#') => Err(format!(
            "`{}` is more than one path segment; a subresource is named apart, and nothing is escaped",
            shown(text)
        )),
        Some(_) => Err(format!("`{}` is no name: letters, digits, `-`, `_`, `.`, `:`", shown(text))),
    }
}

/// A DNS label as Kubernetes checks it.
pub(super) fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LABEL_MAX_BYTES).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A refused text as a person may see it: short, and without anything that moves a terminal's cursor.
pub(super) fn shown(text: &str) -> String {
    shown_to(text, SHOWN_MAX_CHARS)
}

/// As [`shown`], of another length.
pub(super) fn shown_to(text: &str, most_chars: usize) -> String {
    let mut short: String = text.chars().take(most_chars).flat_map(char::escape_debug).collect();
    if text.chars().nth(most_chars).is_some() {
        short.push('…');
    }
    short
}

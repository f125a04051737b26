//! Texts of a guest that have passed a check of their shape. None of them can be taken for a flag or lead to a file.

use serde::Deserialize;

const RELEASE_MAX_BYTES: usize = 53;
const LABEL_MAX_BYTES: usize = 63;
const NAME_MAX_BYTES: usize = 253;
const VERSION_MAX_BYTES: usize = 128;
const DESCRIPTION_MAX_BYTES: usize = 200;
const SHOWN_MAX_CHARS: usize = 80;

/// A text whose shape is checked when it is read.
macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        #[serde(try_from = "String")]
        pub(super) struct $name(String);

        impl $name {
            pub(super) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                $check(&text)?;
                Ok(Self(text))
            }
        }
    };
}

checked!(
    /// The name of a release.
    ReleaseName,
    release_name
);
checked!(
    /// The name of a namespace.
    Namespace,
    namespace
);
checked!(
    /// The name of a chart in its repository.
    ChartName,
    chart_name
);
checked!(
    /// The name under which a repository is kept.
    RepositoryName,
    repository_name
);
checked!(
    /// A version of a chart, or what it must satisfy.
    Version,
    version
);
checked!(
    /// The name of a credential.
    CredentialName,
    credential_name
);
checked!(
    /// What ties a revision to the call that made it.
    EffectKey,
    effect_key
);
checked!(
    /// What a revision says of itself.
    Description,
    description
);

fn release_name(text: &str) -> Result<(), String> {
    let fits = text.len() <= RELEASE_MAX_BYTES && text.split('.').all(is_label);
    said(fits, "release name", text, "lower-case letters, digits, `-` and `.` between them, at most 53")
}

fn namespace(text: &str) -> Result<(), String> {
    said(is_label(text), "namespace", text, "lower-case letters, digits and `-` between them, at most 63")
}

fn chart_name(text: &str) -> Result<(), String> {
    let fits = text.len() <= NAME_MAX_BYTES && is_word(text, b"-_.") && !text.contains("..");
    said(fits, "chart name", text, "letters, digits, `-`, `_` and `.`, a letter or digit at both ends")
}

fn repository_name(text: &str) -> Result<(), String> {
    let fits = text.len() <= LABEL_MAX_BYTES && is_word(text, b"-_.") && !text.contains("..");
    let is_ours = text.starts_with(super::chart::SOURCE);
    said(fits && !is_ours, "repository name", text, "at most 63 letters, digits, `-`, `_` and `.`")
}

fn version(text: &str) -> Result<(), String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".+-~^><=!*|, ".contains(&byte);
    let fits = (1..=VERSION_MAX_BYTES).contains(&text.len())
        && !text.starts_with('-')
        && !text.contains("--")
        && text.bytes().all(known);
    said(fits, "chart version", text, "a version such as `1.2.3`, or a range such as `>=1.2, <2`")
}

fn credential_name(text: &str) -> Result<(), String> {
    let lower = text.bytes().all(|byte| !byte.is_ascii_uppercase());
    let fits = text.len() <= NAME_MAX_BYTES && lower && is_word(text, b"-.") && !text.contains("..");
    said(fits, "credential", text, "the name of one: lower-case letters, digits, `-` and `.`")
}

fn effect_key(text: &str) -> Result<(), String> {
    let fits = (1..=LABEL_MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    said(fits, "effect key", text, "at most 63 letters and digits")
}

fn description(text: &str) -> Result<(), String> {
    let fits = text.len() <= DESCRIPTION_MAX_BYTES && !text.starts_with('-') && !text.contains(char::is_control);
    said(fits, "description", text, "at most 200 bytes in one line")
}

/// A label of DNS.
fn is_label(text: &str) -> bool {
    text.len() <= LABEL_MAX_BYTES && is_word(text, b"-") && text.bytes().all(|byte| !byte.is_ascii_uppercase())
}

/// Letters and digits, and others of these between them.
fn is_word(text: &str, others: &[u8]) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    ends(text.bytes().next())
        && ends(text.bytes().last())
        && text.bytes().all(|byte| ends(Some(byte)) || others.contains(&byte))
}

fn said(fits: bool, what: &str, text: &str, expected: &str) -> Result<(), String> {
    if fits { Ok(()) } else { Err(format!("the {what} `{}` cannot be one; expected {expected}", shown(text))) }
}

/// A text that is refused, for people: short and in one line.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

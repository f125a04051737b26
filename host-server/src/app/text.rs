//! Texts that callers give: what is required, how long they may be, and what cannot change.

use super::Error;

/// Words by which people choose.
pub(crate) type Labels = std::collections::BTreeMap<String, String>;

/// Labels of one resource at most.
const LABELS: usize = 64;
/// Characters of a label's name, and of its value.
const LABEL_CHARACTERS: usize = 63;

/// Labels as JSON text, if given.
pub(super) fn labels_text(labels: Option<Labels>) -> Result<Option<String>, Error> {
    let Some(labels) = labels else { return Ok(None) };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    let fits = |text: &str| text.len() <= LABEL_CHARACTERS && plain(text);
    let is_right =
        labels.len() <= LABELS && labels.iter().all(|(name, value)| !name.is_empty() && fits(name) && fits(value));
    if !is_right {
        return Err(Error::Malformed(format!(
            "`labels` is an object of at most {LABELS} texts; names and values have at most {LABEL_CHARACTERS} characters of A-Z a-z 0-9 - _ . /"
        )));
    }
    Ok(Some(serde_json::to_string(&labels).unwrap_or_default()))
}

const NAME_CHARACTERS: usize = 255;
const SUMMARY_BYTES: usize = 65_535;

/// A field that must be given.
pub(super) fn required(field: &str, value: Option<String>) -> Result<String, Error> {
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Error::Malformed(format!("`{field}` is required and not empty")))
}

/// A name that must be given.
pub(super) fn required_name(value: Option<String>) -> Result<String, Error> {
    required("name", name(value)?)
}

/// A name, if given; an empty one counts as none.
pub(super) fn name(value: Option<String>) -> Result<Option<String>, Error> {
    let value = value.filter(|value| !value.is_empty());
    if value.as_ref().is_some_and(|value| value.chars().count() > NAME_CHARACTERS) {
        return Err(Error::Malformed(format!("`name` has at most {NAME_CHARACTERS} characters")));
    }
    Ok(value)
}

/// A summary, if given.
pub(super) fn summary(value: Option<String>) -> Result<Option<String>, Error> {
    if value.as_ref().is_some_and(|value| value.len() > SUMMARY_BYTES) {
        return Err(Error::Malformed(format!("`summary` has at most {SUMMARY_BYTES} bytes")));
    }
    Ok(value)
}

/// Refuses a change of a field that names something else; the same value, in any spelling, is no change.
pub(super) fn unchanged(field: &str, stored: &str, given: Option<&str>) -> Result<(), Error> {
    let plain = |text: &str| text.replace('-', "").to_ascii_lowercase();
    match given {
        Some(given) if !given.is_empty() && plain(given) != plain(stored) => {
            Err(Error::Malformed(format!("`{field}` cannot change; it is `{stored}`")))
        }
        _ => Ok(()),
    }
}

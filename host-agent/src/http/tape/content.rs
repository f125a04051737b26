//! A body, as a person reads it.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tape::{form, redact};

const FORM: &str = "application/x-www-form-urlencoded";

/// A body without secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A JSON object or list.
    Json(Value),
    /// What was sent as a form: names and values.
    Form(BTreeMap<String, Vec<String>>),
    /// Any other text.
    Text(String),
    /// What is no text.
    Base64(String),
}

impl Content {
    /// What the bytes hold; none where there are none. `kind`: the content type of what is sent; an answer has to come back byte
    /// by byte, so it has none. What is taken out goes into `secrets`.
    pub(super) fn of(bytes: &[u8], kind: &str, secrets: &mut BTreeSet<String>) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Some(Self::Base64(STANDARD.encode(bytes))) };
        if kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM)) {
            return Some(Self::Form(parameters(text, secrets)));
        }
        match serde_json::from_str::<Value>(text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => Some(Self::Json(redact::taken(value, false, secrets))),
            _ => Some(Self::Text(redact::text(text))),
        }
    }

    /// What a server's body is in a replay.
    ///
    /// # Errors
    /// Where it is no base64, or a form.
    pub(super) fn bytes(&self) -> Result<Bytes, String> {
        match self {
            Self::Json(value) => Ok(value.to_string().into()),
            Self::Text(text) => Ok(text.clone().into()),
            Self::Base64(text) => STANDARD.decode(text).map(Into::into).map_err(|error| format!("no base64: {error}")),
            Self::Form(_) => {
                Err("its body is a `form`; what a server answers is `json`, `text` or `base64`".to_owned())
            }
        }
    }
}

/// What stands behind a `?`, or in a form: names and values, without secrets.
pub(super) fn parameters(text: &str, secrets: &mut BTreeSet<String>) -> BTreeMap<String, Vec<String>> {
    let mut all = form::decoded(text);
    for (name, values) in &mut all {
        let is_secret = redact::is_secret_name(name);
        for value in values.iter_mut() {
            let said = std::mem::take(value);
            *value = if is_secret { redact::secret(said, secrets) } else { redact::text(&said) };
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::Content;

    #[test]
    fn a_body_is_told_as_what_it_is_and_without_secrets() {
        for (bytes, kind, content, left) in [
            (
                &br#"{"a": 1, "token": "abcdef"}"#[..],
                "",
                json!({"json": {"a": 1, "token": "<redacted>"}}),
                Some(r#"{"a":1,"token":"<redacted>"}"#),
            ),
            (b"7", "application/json", json!({"text": "7"}), Some("7")),
            (
                b"It works: Bearer abcdef1",
                "text/plain",
                json!({"text": "It works: Bearer <redacted>"}),
                Some("It works: Bearer <redacted>"),
            ),
            (
                b"a=b+c&a=%C3%A9&password=x",
                "application/x-www-form-urlencoded; charset=utf-8",
                json!({"form": {"a": ["b c", "é"], "password": ["<redacted>"]}}),
                None,
            ),
            (b"\x1f\x8b", "", json!({"base64": "H4s="}), Some("\u{1f}\u{fffd}")),
        ] {
            let content = Content::of(bytes, kind, &mut BTreeSet::new()).inspect(|found| {
                assert_eq!(serde_json::to_value(found).unwrap(), content);
            });
            if let Some(left) = left {
                assert_eq!(String::from_utf8_lossy(&content.unwrap().bytes().unwrap()), left);
            }
        }
        assert_eq!(Content::of(b"", "text/plain", &mut BTreeSet::new()), None);
    }
}

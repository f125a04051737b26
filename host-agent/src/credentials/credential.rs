//! One credential: its key, its type, what it holds, and which call wrote it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{failure::invalid, storage::Storage};
use crate::kubernetes::Failure;

const KEY_MAX_BYTES: usize = 253;
/// Of the data as JSON text; a Secret holds 1 MiB of all of them.
const DATA_MAX_BYTES: usize = 64 << 10;
const KIND_MAX_BYTES: usize = 64;

/// What a store holds under a key.
#[derive(Clone, PartialEq)]
pub struct Credential {
    /// What it opens, such as `grafana`; empty where nobody said.
    pub kind: String,
    /// The secret.
    pub data: Data,
    /// The effect key of the call that wrote it; empty where none did.
    pub effect_key: String,
}

/// The secret itself.
#[derive(Clone, PartialEq)]
pub enum Data {
    /// What a header's value is, such as `Bearer …`, as an operator wrote it into a file.
    Plain(Vec<u8>),
    /// A text or an object, as a task's inputs had it.
    Json(Value),
}

/// What may be known of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Where it is: a [`Storage`].
    pub storage: &'static str,
    /// See [`Credential::kind`].
    #[serde(rename = "type")]
    pub kind: String,
    /// See [`Credential::effect_key`].
    pub effect_key: String,
    /// Why it cannot be read, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

/// Whether a credential has to be there before it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It must not.
    Add,
    /// It must.
    Update,
}

/// A credential on its way into a store.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// What is put.
    pub credential: Credential,
    /// Whether it has to be there.
    pub mode: Mode,
}

/// As it lies in a Secret's value and under a file's encryption. The first version wrote the same without `effect-key`.
#[derive(Serialize, Deserialize)]
struct Record {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    storage: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    data: Value,
    #[serde(rename = "effect-key", default, skip_serializing_if = "String::is_empty")]
    effect_key: String,
}

impl Credential {
    /// What lies in a store. What is no record of ours is taken as it is: an operator may put a header's value into the Secret.
    pub(super) fn read(bytes: &[u8]) -> Self {
        match serde_json::from_slice::<Record>(bytes) {
            Ok(Record { kind, data, effect_key, .. }) => Self { kind, data: Data::Json(data), effect_key },
            Err(_) => Self { kind: String::new(), data: Data::Plain(bytes.to_owned()), effect_key: String::new() },
        }
    }

    /// As it will lie in the store.
    pub(super) fn write(&self, key: &str, storage: Storage) -> Result<Vec<u8>, Failure> {
        let Data::Json(data) = &self.data else { return Err(invalid("data: expected JSON")) };
        let record = Record {
            key: key.to_owned(),
            storage: Some(storage.as_str().to_owned()),
            kind: self.kind.clone(),
            data: data.clone(),
            effect_key: self.effect_key.clone(),
        };
        serde_json::to_vec(&record).map_err(|_| invalid("data: it cannot be written as JSON"))
    }

    /// The secret's bytes: a text as it is, else JSON.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match &self.data {
            Data::Plain(bytes) => bytes.clone(),
            Data::Json(Value::String(text)) => text.clone().into_bytes(),
            Data::Json(value) => value.to_string().into_bytes(),
        }
    }

    pub(super) fn entry(&self, key: &str, storage: Storage) -> Entry {
        let (kind, effect_key) = (self.kind.clone(), self.effect_key.clone());
        Entry { key: key.to_owned(), storage: storage.as_str(), kind, effect_key, broken: None }
    }
}

impl Entry {
    /// One of which only the key is known.
    pub(super) fn broken(key: &str, storage: Storage, why: String) -> Self {
        let (kind, effect_key) = (String::new(), String::new());
        Self { key: key.to_owned(), storage: storage.as_str(), kind, effect_key, broken: Some(why) }
    }
}

impl Put {
    /// Checks what a guest gave; `data` is JSON text.
    ///
    /// # Errors
    /// `invalid`: which part is wrong. It quotes nothing of the data.
    pub fn new(kind: &str, effect_key: &str, mode: Mode, data: &[u8]) -> Result<Self, Failure> {
        if kind.is_empty() || kind.len() > KIND_MAX_BYTES || kind.chars().any(char::is_control) {
            return Err(invalid(format!("type: expected a word such as `grafana`, at most {KIND_MAX_BYTES} bytes")));
        }
        if data.len() > DATA_MAX_BYTES {
            return Err(invalid(format!("data: {} bytes as JSON; at most {DATA_MAX_BYTES} are kept", data.len())));
        }
        // Serde would quote what it does not expect.
        let data: Value = serde_json::from_slice(data).map_err(|_| invalid("data: it is not JSON"))?;
        match &data {
            Value::String(text) if !text.is_empty() => {}
            Value::Object(object) if !object.is_empty() => {}
            _ => return Err(invalid("data: expected a text or an object, and not an empty one")),
        }
        let credential =
            Credential { kind: kind.to_owned(), data: Data::Json(data), effect_key: effect_key.to_owned() };
        Ok(Self { credential, mode })
    }
}

/// Whether a text can be a key: it is also the name of a file, and of a value in a Secret.
pub(super) fn is_key(text: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= KEY_MAX_BYTES
        && ends(text.bytes().next())
        && ends(text.bytes().last())
        && text.bytes().all(|byte| ends(Some(byte)) || matches!(byte, b'-' | b'_' | b'.'))
        && !text.contains("..")
}

/// # Errors
/// `invalid`, with what a key is.
pub(super) fn check_key(text: &str) -> Result<(), Failure> {
    if is_key(text) {
        return Ok(());
    }
    let shown: String = text.chars().filter(|letter| !letter.is_control()).take(64).collect();
    Err(invalid(format!(
        "key: `{shown}` is none; letters, digits, `-`, `_` and `.`, a letter or digit at both ends, at most \
         {KEY_MAX_BYTES}"
    )))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("kind", &self.kind).field("data", &self.data).finish_non_exhaustive()
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Credential, Data, Mode, Put, Storage, is_key};

    #[test]
    fn what_the_first_version_wrote_is_read() {
        for (text, kind, data) in [
            (r#"{"key":"a","type":"grafana","data":"token"}"#, "grafana", Data::Json(json!("token"))),
            (
                r#"{"key":"a","storage":"k8s/secret","type":"ncp","data":{"k":1},"more":0}"#,
                "ncp",
                Data::Json(json!({"k": 1})),
            ),
            ("Bearer abc\n", "", Data::Plain(b"Bearer abc\n".to_vec())),
            (r#"{"token":"abc"}"#, "", Data::Plain(br#"{"token":"abc"}"#.to_vec())),
        ] {
            let read = Credential::read(text.as_bytes());
            assert!(read.kind == kind && read.data == data && read.effect_key.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let put = Put::new("openstack", "key-1", Mode::Add, br#"{"password":"hidden-word"}"#).unwrap();
        let written = put.credential.write("a", Storage::Volume).unwrap();
        assert_eq!(Credential::read(&written), put.credential);
        assert!(!format!("{put:?}").contains("hidden-word"));
    }

    #[test]
    fn a_wrong_one_is_refused_without_a_word_of_it() {
        for (kind, data, part) in [
            ("", "\"hidden-word\"", "type: "),
            ("grafana", "hidden-word", "it is not JSON"),
            ("grafana", "\"\"", "not an empty one"),
            ("grafana", "[\"hidden-word\"]", "a text or an object"),
            ("ncp", "{}", "not an empty one"),
        ] {
            let failure = Put::new(kind, "", Mode::Add, data.as_bytes()).unwrap_err();
            assert!(failure.code == "invalid" && failure.message.contains(part), "{data}: {failure}");
            assert!(!failure.message.contains("hidden-word"), "{failure}");
        }
        let long = format!("\"{}\"", "x".repeat(70 << 10));
        assert!(Put::new("grafana", "", Mode::Add, long.as_bytes()).unwrap_err().message.contains("at most"));
    }

    #[test]
    fn a_key_is_also_the_name_of_a_file() {
        for key in ["a", "grafana-1", "Grafana_main.v2", &"x".repeat(253)] {
            assert!(is_key(key), "{key}");
        }
        for text in ["", ".", "..", ".hidden", "a/b", "a..b", "a\0b", "a b", "-a", "a-", "é", &"x".repeat(254)] {
            assert!(!is_key(text), "{text}");
        }
    }
}

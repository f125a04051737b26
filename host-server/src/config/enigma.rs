//! Encryption at rest: the ring of `enigma.keys`, and the seven keys of the first version. No message shows a key's bytes.

use std::path::{Path, PathBuf};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_yaml_ng::{Mapping, Value};
use zeroize::Zeroizing;

use super::{Error, keys::Settings};
use crate::enigma::{Former, Key, Text};

/// How files of the first version say that a part of `enigma` is off.
const OFF: [&str; 4] = ["0", "none", "null", "plain"];
const KEYS: &str = "enigma.keys";
/// The id of the first version's key where it has its place in the ring.
const FORMER_ID: &str = "blockkey";
const SHAPE: &str = "expected a list such as `[{id: 2026-11, keyFile: /etc/claiflow/2026-11.key}]`; the first key encrypts, all decrypt";

/// What was configured.
#[derive(Clone, Debug, Default)]
pub struct Encryption {
    /// The first seals, all open; empty where values are stored plain.
    pub keys: Vec<Key>,
    /// What the first version of the server encrypted with.
    pub former: Option<Former>,
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads `enigma.*`.
///
/// # Errors
/// [`Error::Value`] with what would be right.
pub(super) fn read(settings: &Settings) -> Result<Encryption, Error> {
    let mut keys = settings.get(KEYS).map(ring).transpose()?.unwrap_or_default();
    let Some((former, bytes)) = former(settings)? else { return Ok(Encryption { keys, former: None }) };
    if bytes.iter().all(|byte| *byte == 0) || bytes.len() < 16 {
        if keys.is_empty() {
            return Err(Error::value(
                "enigma.blockKey",
                format!(
                    "{} bytes are too few to encrypt with; put a key of `openssl rand -base64 32` into `enigma.keys`, and leave this \
                     one where it is: what the first version wrote is read with it",
                    bytes.len()
                ),
            ));
        }
    } else if let Some(key) = fitted(settings, &bytes) {
        let key = Key::new(FORMER_ID, key).map_err(|message| Error::value("enigma.blockKey", message))?;
        if keys.iter().any(|other| other.id() == FORMER_ID) {
            return Err(Error::value(KEYS, format!("`{FORMER_ID}` is the id of `enigma.blockKey`; choose another")));
        }
        keys.push(key);
    }
    Ok(Encryption { keys, former: Some(former) })
}

/// The list of `enigma.keys`.
fn ring(text: &str) -> Result<Vec<Key>, Error> {
    let shape = || Error::value(KEYS, SHAPE);
    // Its cause is not told: it may quote what was written.
    let entries: Vec<Mapping> = serde_yaml_ng::from_str(text).map_err(|_| shape())?;
    if entries.is_empty() {
        return Err(shape());
    }
    let keys = entries.iter().enumerate().map(|(index, entry)| one(&format!("{KEYS}[{index}]"), entry));
    let keys = keys.collect::<Result<Vec<Key>, Error>>()?;
    for (index, key) in keys.iter().enumerate() {
        if keys.iter().take(index).any(|other| other.id() == key.id()) {
            return Err(Error::value(KEYS, format!("two keys have the id `{}`; give each its own", key.id())));
        }
    }
    Ok(keys)
}

fn one(name: &str, entry: &Mapping) -> Result<Key, Error> {
    for key in entry.keys() {
        if !key.as_str().is_some_and(|key| ["id", "key", "keyFile"].contains(&key)) {
            return Err(Error::value(name, "an entry has `id` and either `key` or `keyFile`, and nothing else"));
        }
    }
    let text = |field: &str| match entry.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        // An id such as `1` is a number to YAML.
        Some(Value::Number(number)) if field == "id" => Ok(Some(number.to_string())),
        Some(_) => Err(Error::value(&format!("{name}.{field}"), "expected a text; put it into quotes")),
    };
    let id = text("id")?.ok_or_else(|| Error::value(name, "an entry needs an `id`, for instance `2026-11`"))?;
    let (field, encoded) = match (text("key")?.map(Zeroizing::new), text("keyFile")?) {
        (Some(key), None) => ("key", key),
        (None, Some(file)) => ("keyFile", read_file(&format!("{name}.keyFile"), Path::new(&file))?),
        _ => {
            return Err(Error::value(
                name,
                "an entry needs either `key` (base64) or `keyFile`, a file with such a text",
            ));
        }
    };
    let bytes = decode(&format!("{name}.{field}"), &encoded)?;
    Key::new(&id, bytes).map_err(|message| Error::value(name, message))
}

fn read_file(name: &str, file: &Path) -> Result<Zeroizing<String>, Error> {
    let unread = |error: std::io::Error| {
        Error::value(name, format!("{}: the key file cannot be read: {error}", PathBuf::from(file).display()))
    };
    std::fs::read_to_string(file).map(Zeroizing::new).map_err(unread)
}

fn decode(name: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let bytes = BASE64.decode(text.trim());
    bytes
        .map(Zeroizing::new)
        .map_err(|_| Error::value(name, "this is not base64 (RFC 4648); `openssl rand -base64 32` makes a key"))
}

/// A key of the seven, unless it says that it is off.
fn given<'a>(settings: &'a Settings, key: &'static str) -> Option<&'a str> {
    settings.get(key).map(str::trim).filter(|text| !OFF.iter().any(|off| text.eq_ignore_ascii_case(off)))
}

/// What the first version encrypted with, and the key itself.
type Given = (Former, Zeroizing<Vec<u8>>);

/// The seven keys of the first version, with the decoded key.
fn former(settings: &Settings) -> Result<Option<Given>, Error> {
    let Some(method) = given(settings, "enigma.blockMethod") else {
        let key = given(settings, "enigma.blockKey").filter(|_| settings.get("enigma.blockMethod").is_none());
        return key.map_or(Ok(None), |_| {
            Err(Error::value("enigma.blockMethod", "expected `AES`, since there is `enigma.blockKey`, or `none`"))
        });
    };
    if !method.eq_ignore_ascii_case("aes") {
        return Err(Error::value(
            "enigma.blockMethod",
            format!("`{method}` is not served, only `AES` (with `enigma.cipherMode: GCM`) or `none`"),
        ));
    }
    match given(settings, "enigma.cipherMode") {
        Some(mode) if mode.eq_ignore_ascii_case("gcm") => {}
        mode => {
            return Err(Error::value(
                "enigma.cipherMode",
                format!(
                    "`{}` does not tell a changed value from a true one and is not served; set it to `GCM`",
                    mode.unwrap_or("none")
                ),
            ));
        }
    }
    let size = key_bytes(settings)?;
    let Some(text) = given(settings, "enigma.blockKey") else {
        return Err(Error::value("enigma.blockKey", "expected a key as base64, as `openssl rand -base64 32` makes it"));
    };
    let key = decode("enigma.blockKey", text)?;
    let padded = match given(settings, "enigma.padding").map(str::to_ascii_lowercase).as_deref() {
        None => false,
        Some("pkcs" | "pkcs5" | "pkcs7") => true,
        Some(other) => {
            return Err(Error::value("enigma.padding", format!("`{other}` is not one of none, PKCS, PKCS5, PKCS7")));
        }
    };
    let text = match given(settings, "enigma.strconv").map(str::to_ascii_lowercase).as_deref() {
        None => Text::Plain,
        Some("base64") => Text::Base64,
        Some("hex") => Text::Hex,
        Some(other) => {
            return Err(Error::value("enigma.strconv", format!("`{other}` is not one of plain, base64, hex")));
        }
    };
    Ok(Some((Former::new(&key, size, given(settings, "enigma.cipherSalt"), padded, text), key)))
}

/// `enigma.blockSize`, bytes.
fn key_bytes(settings: &Settings) -> Result<usize, Error> {
    match given(settings, "enigma.blockSize") {
        Some("128") => Ok(16),
        Some("192") => Ok(24),
        Some("256") => Ok(32),
        other => Err(Error::value(
            "enigma.blockSize",
            format!("`{}` is not one of 128, 192, 256", other.unwrap_or_default()),
        )),
    }
}

/// The first version's key as it used it: zero-padded or cut.
fn fitted(settings: &Settings, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0; key_bytes(settings).ok()?]);
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    Some(key)
}

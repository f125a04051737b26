//! How a value looks in its column: `claiflow.enigma:1:KEY:BODY`, where BODY is base64 of day, nonce, ciphertext and tag.
//!
//! Text, since the columns are text. A plain value that begins like an envelope is written as `claiflow.enigma:0:VALUE`, so
//! what begins so is never plain.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// What no plain value begins with.
const MAGIC: &str = "claiflow.enigma:";
const ESCAPED: &str = "claiflow.enigma:0:";
pub(super) const SEALED: &str = "claiflow.enigma:1:";

const DAY: usize = 4;
pub(super) const NONCE: usize = 12;
const TAG: usize = 16;
/// Bytes before the ciphertext.
pub(super) const HEAD: usize = DAY + NONCE;

/// The parts of an envelope.
pub(super) struct Sealed<'a> {
    pub(super) key: &'a str,
    /// Since 1970.
    pub(super) day: u32,
    pub(super) nonce: [u8; NONCE],
    /// Ciphertext, to be decrypted in place.
    pub(super) text: Vec<u8>,
    pub(super) tag: [u8; TAG],
}

/// What a stored value is.
pub(super) enum Read<'a> {
    Plain,
    Escaped(&'a str),
    Sealed(Sealed<'a>),
    Malformed,
}

/// What every value begins with that is sealed under a key.
pub(super) fn prefix(key: &str) -> String {
    format!("{SEALED}{key}:")
}

/// A value that is not sealed, as it is stored.
pub(super) fn plain(text: &str) -> String {
    if text.starts_with(MAGIC) { format!("{ESCAPED}{text}") } else { text.to_owned() }
}

/// The body up to where the tag goes; the text is still plain.
pub(super) fn begin(day: u32, nonce: [u8; NONCE], text: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(HEAD + text.len() + TAG);
    body.extend_from_slice(&day.to_be_bytes());
    body.extend_from_slice(&nonce);
    body.extend_from_slice(text.as_bytes());
    body
}

/// The envelope around a body.
pub(super) fn write(key: &str, body: &[u8]) -> String {
    let mut envelope = String::with_capacity(SEALED.len() + key.len() + 1 + body.len().div_ceil(3) * 4);
    envelope.push_str(SEALED);
    envelope.push_str(key);
    envelope.push(':');
    STANDARD_NO_PAD.encode_string(body, &mut envelope);
    envelope
}

/// Takes a stored value apart.
pub(super) fn read(stored: &str) -> Read<'_> {
    if !stored.starts_with(MAGIC) {
        return Read::Plain;
    }
    if let Some(text) = stored.strip_prefix(ESCAPED) {
        return Read::Escaped(text);
    }
    stored.strip_prefix(SEALED).and_then(sealed).map_or(Read::Malformed, Read::Sealed)
}

fn sealed(rest: &str) -> Option<Sealed<'_>> {
    let (key, body) = rest.split_once(':')?;
    let mut body = STANDARD_NO_PAD.decode(body).ok()?;
    let tag: [u8; TAG] = *body.last_chunk()?;
    let text_end = body.len().checked_sub(TAG).filter(|end| *end >= HEAD)?;
    let day = u32::from_be_bytes(*body.first_chunk()?);
    let nonce = body.get(DAY..HEAD)?.try_into().ok()?;
    body.truncate(text_end);
    body.drain(..HEAD);
    Some(Sealed { key, day, nonce, text: body, tag })
}

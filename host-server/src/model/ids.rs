//! Ids, the clock and randomness, as one value that the wiring passes in.

use chrono::{DateTime, Utc};
use rand::RngCore as _;

/// A 128-bit id.
pub type Id = [u8; 16];

/// Where times and ids come from: the system, or a simulation.
pub trait Ids: Send + Sync + 'static {
    /// Microseconds since 1970, UTC.
    fn now_us(&self) -> i64;
    /// 16 random bytes.
    fn random(&self) -> Id;
}

/// Gives times and ids. The one place that reads the system's clock and randomness.
#[derive(Clone, Debug, Default)]
pub struct Source;

impl Ids for Source {
    fn now_us(&self) -> i64 {
        Self::now_us(self)
    }

    fn random(&self) -> Id {
        Self::random(self)
    }
}

impl Source {
    /// Microseconds since 1970, UTC.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        Utc::now().timestamp_micros()
    }

    /// A time-ordered id (UUIDv7).
    #[must_use]
    pub fn id(&self) -> Id {
        uuid::Uuid::now_v7().into_bytes()
    }

    /// 16 random bytes.
    #[must_use]
    pub fn random(&self) -> Id {
        let mut bytes = [0; 16];
        rand::rng().fill_bytes(&mut bytes);
        bytes
    }
}

/// 32 lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let text = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    String::from_utf8(text).unwrap_or_default()
}

/// The id that [`hex`] wrote; none for anything else.
#[must_use]
pub fn unhex(text: &str) -> Option<Id> {
    let byte = |at: usize| text.get(at * 2..at * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Vec<u8> = (text.len() == 32).then(|| (0..16).map(byte).collect()).flatten()?;
    bytes.try_into().ok()
}

/// A uuid as callers write it: 32 hexadecimal digits, hyphens dropped, any case.
///
/// # Errors
/// A sentence that names the field.
pub fn uuid_text(field: &str, text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    if digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(digits)
    } else {
        Err(format!("`{field}` must be 32 hexadecimal digits (hyphens are dropped), for instance {}", "0".repeat(32)))
    }
}

/// How a uuid is looked up, whatever its form: hyphens dropped, without case.
#[must_use]
pub fn lookup(text: &str) -> String {
    stored(text).replace('-', "").to_ascii_lowercase()
}

/// How a template's uuid is looked up. No uuid has a character beyond ASCII, which the columns could not even be compared
/// with; such a text becomes the empty one, which is nobody's.
#[must_use]
pub fn stored(text: &str) -> &str {
    if text.is_ascii() { text } else { "" }
}

/// A stored time as the API prints it.
#[must_use]
pub fn time(us: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(us).unwrap_or_default()
}

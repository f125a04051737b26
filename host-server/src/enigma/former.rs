//! Values that the first version of the server encrypted. They are read, and never written.
//!
//! AES-GCM under the configured key, zero-padded or cut to the block size; 12 random bytes first, or a fixed nonce where
//! `cipherSalt` was set; PKCS7 to 16 bytes before it; then as bytes, base64 or hexadecimal digits.

use std::fmt;

use aes_gcm::{AeadInPlace, Aes128Gcm, Aes256Gcm, AesGcm, KeyInit, Nonce, Tag, aead::consts::U12, aes::Aes192};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

const NONCE: usize = 12;
const TAG: usize = 16;
const BLOCK: usize = 16;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How ciphertext was written as text (`enigma.strconv`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// As it is.
    Plain,
    /// Base64.
    Base64,
    /// Hexadecimal digits.
    Hex,
}

/// What the first version encrypted with.
#[derive(Clone)]
pub struct Former {
    key: Zeroizing<Vec<u8>>,
    /// Empty where each value begins with its own.
    nonces: Vec<[u8; NONCE]>,
    padded: bool,
    text: Text,
}

impl fmt::Debug for Former {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Former").field("text", &self.text).finish_non_exhaustive()
    }
}

impl Former {
    /// `key`: the decoded `enigma.blockKey`; `key_bytes`: `enigma.blockSize` divided by 8.
    #[must_use]
    pub fn new(key: &[u8], key_bytes: usize, salt: Option<&str>, padded: bool, text: Text) -> Self {
        let mut fitted = Zeroizing::new(vec![0; key_bytes]);
        fitted.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        Self { key: fitted, nonces: salt.map(nonces).unwrap_or_default(), padded, text }
    }

    /// The text behind a stored value; none where it is not ciphertext under this key. The tag tells, so a plain value is
    /// never taken for ciphertext.
    #[must_use]
    pub fn open(&self, stored: &[u8]) -> Option<String> {
        let bytes = match self.text {
            Text::Plain => stored.to_vec(),
            Text::Base64 => BASE64.decode(stored.trim_ascii()).ok()?,
            Text::Hex => unhex(stored.trim_ascii())?,
        };
        let opened = if self.nonces.is_empty() {
            let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
            self.decrypt(nonce, sealed)
        } else {
            self.nonces.iter().find_map(|nonce| self.decrypt(nonce, &bytes))
        }?;
        String::from_utf8(if self.padded { unpadded(opened)? } else { opened }).ok()
    }

    fn decrypt(&self, nonce: &[u8; NONCE], sealed: &[u8]) -> Option<Vec<u8>> {
        match self.key.len() {
            16 => open_with::<Aes128Gcm>(&self.key, nonce, sealed),
            24 => open_with::<AesGcm<Aes192, U12>>(&self.key, nonce, sealed),
            _ => open_with::<Aes256Gcm>(&self.key, nonce, sealed),
        }
    }
}

fn open_with<C>(key: &[u8], nonce: &[u8; NONCE], sealed: &[u8]) -> Option<Vec<u8>>
where
    C: KeyInit + AeadInPlace<NonceSize = U12, TagSize = aes_gcm::aead::consts::U16>,
{
    let (text, tag) = sealed.split_last_chunk::<TAG>()?;
    let mut text = text.to_vec();
    C::new_from_slice(key)
        .ok()?
        .decrypt_in_place_detached(&Nonce::from(*nonce), &[], &mut text, &Tag::from(*tag))
        .ok()?;
    Some(text)
}

/// A salt was written as base64 or as it is; zero-padded or cut. Only the right one opens anything.
fn nonces(salt: &str) -> Vec<[u8; NONCE]> {
    let fit = |bytes: &[u8]| {
        let mut nonce = [0; NONCE];
        nonce.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        nonce
    };
    let decoded = BASE64.decode(salt).ok().map(|bytes| fit(&bytes));
    decoded.into_iter().chain([fit(salt.as_bytes())]).collect()
}

/// PKCS7 (RFC 5652, 6.3), with blocks of 16 bytes.
fn unpadded(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let count = usize::from(*bytes.last()?);
    let end = bytes.len().checked_sub(count)?;
    let is_padding = (1..=BLOCK).contains(&count) && bytes.len().is_multiple_of(BLOCK);
    if !is_padding || !bytes.get(end..)?.iter().all(|byte| usize::from(*byte) == count) {
        return None;
    }
    bytes.truncate(end);
    Some(bytes)
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

//! A key of the ring: its name, its bytes, and what is derived from them.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::ids::hex;

/// Bytes of a key: AES-128, AES-192 or AES-256 by name; what seals is always a derived subkey of 32 bytes.
const LENGTHS: [usize; 3] = [16, 24, 32];
/// Characters of a key's id.
const ID_CHARACTERS: usize = 32;
/// What every derivation is for, so that the same bytes used elsewhere give other keys.
const PURPOSE: &[u8] = b"claiflow enigma 1";

/// A key. Its bytes are wiped when it is dropped, and `Debug` shows its id only.
#[derive(Clone)]
pub struct Key {
    id: String,
    bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Key {
    /// A key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// A sentence that says what would be right, and never what was given for a key.
    pub fn new(id: &str, bytes: Zeroizing<Vec<u8>>) -> Result<Self, String> {
        let id = key_id(id)?;
        if !LENGTHS.contains(&bytes.len()) {
            return Err(format!(
                "the key `{id}` has {} bytes; 16, 24 or 32 are right, as `openssl rand -base64 32` makes them",
                bytes.len()
            ));
        }
        Ok(Self { id, bytes })
    }

    /// Its name, as envelopes tell it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Tells this key from another one of the same name, and tells nothing else of it: 32 hexadecimal digits.
    #[must_use]
    pub fn proof(&self) -> String {
        hex(self.derive(&[b"proof"]).get(..16).unwrap_or_default())
    }

    /// 32 bytes for a use (HKDF-SHA256, RFC 5869). The parts of `use_of` are told apart by their lengths.
    pub(super) fn derive(&self, use_of: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut info = PURPOSE.to_vec();
        for part in use_of {
            info.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            info.extend_from_slice(part);
        }
        let mut subkey = Zeroizing::new([0; 32]);
        // It fails for more than 8,160 bytes only.
        let _ = Hkdf::<Sha256>::new(None, &self.bytes).expand(&info, subkey.as_mut_slice());
        subkey
    }
}

/// Checks the id of a key: it stands in every envelope, and in the database's comparisons, which know no case.
///
/// # Errors
/// A sentence that says what would be right.
pub fn key_id(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    if text.is_empty() || text.len() > ID_CHARACTERS || !text.bytes().all(plain) {
        return Err(format!(
            "`id` is 1 to {ID_CHARACTERS} lower-case letters, digits, `.` and `-`, for instance `2026-11`"
        ));
    }
    Ok(text.to_owned())
}

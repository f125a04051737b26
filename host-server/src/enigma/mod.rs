//! Encryption at rest: a value of a column becomes an envelope, bound to its table, column and row, and comes back from it.
//!
//! Pure: it knows no database and opens no file. What is sealed, and where, is decided in `storage`.
//!
//! A value is sealed by AES-256-GCM under a subkey of the ring's first key, one for each table and day, so that no subkey meets
//! more values than random nonces allow (about 2^32). A value that is no envelope is plain: it is from before encryption was
//! turned on. No plain value looks like an envelope, since one that would is escaped (`envelope`).

mod envelope;
mod former;
mod key;
mod place;
mod subkeys;

use std::{fmt, sync::Arc};

use aes_gcm::{AeadInPlace as _, Nonce, Tag};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::model::ids::{Ids, Source, hex};
use envelope::{Read, Sealed};
pub use former::{Former, Text};
pub use key::{Key, key_id};
pub use place::{Place, Row, row, task_row};
use subkeys::Subkeys;

/// One day, microseconds.
const DAY_US: i64 = 86_400_000_000;

/// Why a stored value cannot be read or written. No message holds a part of a value or of a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The ring lacks the key.
    #[error(
        "a value of `{column}` is sealed under the key `{key}`, which `enigma.keys` does not hold: add it behind the first"
    )]
    MissingKey {
        /// As the envelope names it.
        key: String,
        /// Table and column.
        column: String,
    },
    /// It was changed, or put where another value stood, or the key of this name is another one.
    #[error(
        "a value of `{column}` does not fit its seal under the key `{key}`: it was changed or moved, or the key is another one of that name"
    )]
    Broken {
        /// As the envelope names it.
        key: String,
        /// Table and column.
        column: String,
    },
    /// It begins like an envelope and is none.
    #[error(
        "a value of `{column}` begins like a sealed one and is cut, changed, or from a later version of this server"
    )]
    Malformed {
        /// Table and column.
        column: String,
    },
    /// The value is longer than the cipher takes.
    #[error("a value of `{column}` is too long to be sealed")]
    TooLong {
        /// Table and column.
        column: String,
    },
    /// The database has sealed values, and whoever opened it brought no keys.
    #[error("`{column}` is encrypted in this database, and no key was given to write it with")]
    Shut {
        /// Table and column.
        column: String,
    },
    /// Two keys have one id.
    #[error("two keys of `enigma.keys` have the id `{0}`")]
    TwoKeys(String),
}

/// Seals and opens values under a ring of keys: the first one seals, all of them open. Without a key values stay plain.
pub struct Enigma {
    ring: Vec<Key>,
    subkeys: Subkeys,
    ids: Arc<dyn Ids>,
    /// Nothing is written: it would be plain where other values are sealed.
    is_shut: bool,
}

impl fmt::Debug for Enigma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enigma").field("keys", &self.key_ids()).finish_non_exhaustive()
    }
}

impl Enigma {
    /// Seals nothing.
    #[must_use]
    pub fn off() -> Self {
        Self { ring: vec![], subkeys: Subkeys::default(), ids: Arc::new(Source), is_shut: false }
    }

    /// Refuses to write: for a database with sealed values, until its keys are given.
    #[must_use]
    pub fn shut() -> Self {
        Self { is_shut: true, ..Self::off() }
    }

    /// `keys`: the first seals. `ids` gives nonces and the day.
    ///
    /// # Errors
    /// [`Error::TwoKeys`].
    pub fn new(keys: Vec<Key>, ids: Arc<dyn Ids>) -> Result<Self, Error> {
        for (index, key) in keys.iter().enumerate() {
            if keys.iter().skip(index + 1).any(|other| other.id() == key.id()) {
                return Err(Error::TwoKeys(key.id().to_owned()));
            }
        }
        Ok(Self { ring: keys, subkeys: Subkeys::default(), ids, is_shut: false })
    }

    /// Whether values are sealed when they are written.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.ring.is_empty()
    }

    /// The keys, the sealing one first.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.ring
    }

    /// The ids of the keys, the sealing one first.
    #[must_use]
    pub fn key_ids(&self) -> Vec<&str> {
        self.ring.iter().map(Key::id).collect()
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.ids.now_us()
    }

    /// The id of the key that seals; none where values stay plain.
    #[must_use]
    pub fn sealing_key(&self) -> Option<&str> {
        self.ring.first().map(Key::id)
    }

    /// What every value begins with that is sealed under a key.
    #[must_use]
    pub fn prefix_of(key: &str) -> String {
        envelope::prefix(key)
    }

    /// What every envelope begins with, and no plain value.
    pub const MAGIC: &'static str = envelope::SEALED;

    /// A value as it is stored.
    ///
    /// # Errors
    /// [`Error::TooLong`].
    pub fn seal(&self, place: Place<'_>, text: &str) -> Result<String, Error> {
        if self.is_shut {
            return Err(Error::Shut { column: place.name() });
        }
        let Some(key) = self.ring.first() else { return Ok(envelope::plain(text)) };
        let day = u32::try_from(self.ids.now_us().div_euclid(DAY_US)).unwrap_or_default();
        let nonce = self.ids.random();
        let nonce = nonce.first_chunk::<{ envelope::NONCE }>().copied().unwrap_or_default();
        let mut body = envelope::begin(day, nonce, text);
        let cipher = self.subkeys.get(key, place.table, day);
        let aad = place.bound_to(key.id(), day);
        let text_of = body.get_mut(envelope::HEAD..).unwrap_or_default();
        let tag = cipher
            .encrypt_in_place_detached(&Nonce::from(nonce), &aad, text_of)
            .map_err(|_| Error::TooLong { column: place.name() })?;
        body.extend_from_slice(&tag);
        Ok(envelope::write(key.id(), &body))
    }

    /// A stored value as it was given.
    ///
    /// # Errors
    /// [`Error`] but [`Error::TooLong`].
    pub fn open(&self, place: Place<'_>, stored: String) -> Result<String, Error> {
        let Sealed { key: id, day, nonce, mut text, tag } = match envelope::read(&stored) {
            Read::Plain => return Ok(stored),
            Read::Escaped(text) => return Ok(text.to_owned()),
            Read::Malformed => return Err(Error::Malformed { column: place.name() }),
            Read::Sealed(sealed) => sealed,
        };
        let key = self.ring.iter().find(|key| key.id() == id);
        let key = key.ok_or_else(|| Error::MissingKey { key: id.to_owned(), column: place.name() })?;
        let broken = || Error::Broken { key: id.to_owned(), column: place.name() };
        let cipher = self.subkeys.get(key, place.table, day);
        let aad = place.bound_to(id, day);
        cipher
            .decrypt_in_place_detached(&Nonce::from(nonce), &aad, &mut text, &Tag::from(tag))
            .map_err(|_| broken())?;
        String::from_utf8(text).map_err(|_| broken())
    }

    /// What a secret is found by while it is sealed: under the sealing key; none where values stay plain.
    #[must_use]
    pub fn mac(&self, table: &'static str, secret: &str) -> Option<String> {
        self.ring.first().map(|key| mac(key, table, secret))
    }

    /// What a secret may be found by: under each key.
    #[must_use]
    pub fn macs(&self, table: &'static str, secret: &str) -> Vec<String> {
        self.ring.iter().map(|key| mac(key, table, secret)).collect()
    }
}

/// 64 hexadecimal digits.
fn mac(key: &Key, table: &str, secret: &str) -> String {
    let subkey = key.derive(&[b"find", table.as_bytes()]);
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(subkey.as_slice()) else { return String::new() };
    mac.update(secret.as_bytes());
    hex(&mac.finalize().into_bytes())
}

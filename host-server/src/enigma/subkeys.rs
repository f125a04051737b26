//! Subkeys that are in use: deriving one costs more than sealing a short value.

use std::{collections::HashMap, sync::Arc};

use aes_gcm::{Aes256Gcm, KeyInit as _};
use parking_lot::RwLock;

use super::key::Key;

/// Tables and days whose subkeys are kept at most: a few tables, on the days that people look back at.
const KEPT: usize = 1_024;

/// The ciphers of one table and day, by the ids of their keys: one or two.
type OfDay = Vec<(String, Arc<Aes256Gcm>)>;

/// One cipher for each table, day and key.
#[derive(Default)]
pub(super) struct Subkeys(RwLock<HashMap<(&'static str, u32), OfDay>>);

impl Subkeys {
    pub(super) fn get(&self, key: &Key, table: &'static str, day: u32) -> Arc<Aes256Gcm> {
        let of_key =
            |ciphers: &OfDay| ciphers.iter().find(|(id, _)| id == key.id()).map(|(_, cipher)| Arc::clone(cipher));
        if let Some(cipher) = self.0.read().get(&(table, day)).and_then(of_key) {
            return cipher;
        }
        let subkey = key.derive(&[b"seal", table.as_bytes(), &day.to_be_bytes()]);
        let cipher = Arc::new(Aes256Gcm::new(subkey.as_slice().into()));
        let mut kept = self.0.write();
        if kept.len() >= KEPT {
            kept.clear();
        }
        let ciphers = kept.entry((table, day)).or_default();
        if let Some(known) = of_key(ciphers) {
            return known;
        }
        ciphers.push((key.id().to_owned(), Arc::clone(&cipher)));
        cipher
    }
}

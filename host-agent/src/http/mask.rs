//! Cuts a credential out of what a server answers, also where it lies over the borders of chunks.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::secret::Secret;

const INSTEAD: &[u8] = b"***";

/// Over one body, or what one program says, in its order.
pub struct Mask {
    parts: Vec<Vec<u8>>,
    /// By the byte that a part begins with.
    begins: [bool; 256],
    /// The end of what came, where it may be the beginning of a part.
    held: Vec<u8>,
}

impl Mask {
    pub(super) fn of(secret: &Secret) -> Self {
        Self::over(secret.parts())
    }

    /// Over these, none of which is empty.
    #[must_use]
    pub fn over(mut parts: Vec<Vec<u8>>) -> Self {
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        let mut begins = [false; 256];
        for &byte in parts.iter().filter_map(|part| part.first()) {
            if let Some(begins) = begins.get_mut(usize::from(byte)) {
                *begins = true;
            }
        }
        Self { parts, begins, held: Vec::new() }
    }

    /// What of it may be passed on already.
    pub fn push(&mut self, piece: &[u8]) -> Bytes {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(piece);
        let (passed, rest) = self.cut(&all, false);
        self.held = all.get(rest..).unwrap_or_default().to_vec();
        passed.into()
    }

    /// What was held back, once nothing follows.
    pub fn finish(&mut self) -> Bytes {
        let held = std::mem::take(&mut self.held);
        self.cut(&held, true).0.into()
    }

    /// In place, in every value.
    pub(super) fn headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let (cut, _) = self.cut(value.as_bytes(), true);
            if cut != value.as_bytes() {
                // What is left of a value and stars make a value.
                *value = HeaderValue::from_bytes(&cut).unwrap_or(HeaderValue::from_static("***"));
            }
        }
    }

    /// What may be passed on, and from where on nothing is known yet.
    fn cut(&self, all: &[u8], ends: bool) -> (Vec<u8>, usize) {
        let mut passed = Vec::with_capacity(all.len());
        let mut at = 0;
        while let Some(rest) = all.get(at..)
            && let Some(&first) = rest.first()
        {
            if !self.begins.get(usize::from(first)).copied().unwrap_or(true) {
                passed.push(first);
                at += 1;
                continue;
            }
            // A longer part that is not all here yet counts before a shorter one that is.
            if !ends && self.parts.iter().any(|part| part.len() > rest.len() && part.starts_with(rest)) {
                break;
            }
            match self.parts.iter().find(|part| rest.starts_with(part)) {
                Some(part) => {
                    passed.extend_from_slice(INSTEAD);
                    at += part.len();
                }
                None => {
                    passed.push(first);
                    at += 1;
                }
            }
        }
        (passed, at)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}

#[cfg(test)]
mod tests {
    use super::{Mask, Secret};

    #[test]
    fn a_secret_is_cut_wherever_chunks_end() {
        for (text, expected) in [
            ("say Bearer abcdef now", "say *** now"),
            ("abcdefabcdef", "******"),
            ("abcabcdef", "abc***"),
            ("Bearer abcde", "Bearer abcde"),
            ("Bearer", "Bearer"),
            ("BearBearer abcdef", "Bear***"),
            ("", ""),
        ] {
            for size in 1..=text.len().max(1) {
                let mut mask = Mask::of(&Secret::new("Bearer abcdef"));
                let mut seen: Vec<u8> = text.as_bytes().chunks(size).flat_map(|chunk| mask.push(chunk)).collect();
                seen.extend(mask.finish());
                assert_eq!(String::from_utf8(seen).unwrap(), expected, "{text} in chunks of {size}");
            }
        }
    }

    #[test]
    fn nothing_more_than_a_secrets_length_is_held_back() {
        let mut mask = Mask::of(&Secret::new("aaaaaaab"));
        for _ in 0..100 {
            mask.push(&[b'a'; 1000]);
            assert!(mask.held.len() < 8, "{}", mask.held.len());
        }
    }
}

//! A component that is spread over ConfigMaps, put together again.
//!
//! A ConfigMap holds 1 MiB. What is larger is compressed (zstd) and cut: each piece is a ConfigMap of its own that names the
//! plugin (the label `claiflow.io/plugin`), its place (the annotations `claiflow.io/part` of `claiflow.io/parts`) and the whole
//! component (`claiflow.io/sha256`).

use std::{collections::BTreeMap, fmt::Write as _, io::Read as _};

use sha2::{Digest as _, Sha256};

use super::FILE_MAX_BYTES;

const PARTS_MAX: usize = 64;
/// Decoding keeps a window of this size; `zstd -19` writes 8 MiB.
const PIECES_MAX_BYTES: usize = 64 << 20;

/// What the metadata of a labelled ConfigMap says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The ConfigMap's name.
    pub(super) config_map: String,
    /// Of the whole component; none for one that is in a single ConfigMap and was made by hand.
    pub(super) sha256: Option<String>,
    pub(super) part: usize,
    pub(super) parts: usize,
    /// When the ConfigMap was made, seconds since 1970, and its version: what tells two versions of one plugin apart.
    pub(super) made: (i64, String),
}

/// A component all of whose pieces are there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// In their order.
    pub(super) pieces: Vec<Piece>,
    pub(super) origin: String,
}

impl Piece {
    /// Reads the annotations.
    ///
    /// # Errors
    /// Which of them is wrong and what would be right.
    pub(super) fn read(
        config_map: String,
        made: (i64, String),
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let number = |key: &str, default: usize| match annotations.get(key) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("{config_map}: {key} is `{text}`; expected a whole number")),
        };
        let (part, parts) = (number("claiflow.io/part", 0)?, number("claiflow.io/parts", 1)?);
        if !(1..=PARTS_MAX).contains(&parts) || part >= parts {
            return Err(format!(
                "{config_map}: part {part} of {parts}; parts are counted from 0, and there are at most {PARTS_MAX}"
            ));
        }
        let sha256 = annotations.get("claiflow.io/sha256").map(|digest| digest.to_ascii_lowercase());
        if sha256.is_none() && parts > 1 {
            return Err(format!("{config_map}: the annotation claiflow.io/sha256 of the whole component is missing"));
        }
        Ok(Self { config_map, sha256, part, parts, made })
    }
}

/// The newest component of a plugin that is there whole.
///
/// # Errors
/// What is missing.
pub(super) fn whole(pieces: Vec<Piece>) -> Result<Whole, String> {
    let mut sets: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
    for piece in pieces {
        let key = match &piece.sha256 {
            Some(digest) => format!("sha256:{digest} in {}", piece.parts),
            None => format!("{}@{}", piece.config_map, piece.made.1),
        };
        sets.entry(key).or_default().push(piece);
    }
    let mut missing = Vec::new();
    let mut newest: Option<Whole> = None;
    for (origin, mut pieces) in sets {
        pieces.sort_by(|a, b| (a.part, &b.made.0).cmp(&(b.part, &a.made.0)));
        pieces.dedup_by_key(|piece| piece.part);
        let parts = pieces.first().map_or(1, |piece| piece.parts);
        if pieces.len() == parts {
            let made = |whole: &Whole| whole.pieces.iter().map(|piece| piece.made.0).max();
            let candidate = Whole { pieces, origin };
            if newest.as_ref().is_none_or(|newest| made(newest) < made(&candidate)) {
                newest = Some(candidate);
            }
        } else {
            missing.push(format!("{} of {parts} ConfigMaps of {origin} are there", pieces.len()));
        }
    }
    newest.ok_or_else(|| missing.join("; "))
}

/// The component of pieces in their order.
///
/// # Errors
/// Why it is none.
pub(super) fn join(pieces: &[Vec<u8>], is_compressed: bool, sha256_wanted: Option<&str>) -> Result<Vec<u8>, String> {
    let bytes = pieces.concat();
    if bytes.len() > PIECES_MAX_BYTES {
        return Err(format!("the pieces have {} bytes; at most {PIECES_MAX_BYTES} are read", bytes.len()));
    }
    let bytes = if is_compressed { unpacked(&bytes)? } else { bytes };
    let digest = sha256(&bytes);
    match sha256_wanted {
        Some(wanted) if wanted != digest => {
            Err(format!("the pieces make a file of the digest {digest}, and claiflow.io/sha256 says {wanted}"))
        }
        _ => Ok(bytes),
    }
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let broken = |error: &dyn std::fmt::Display| format!("the pieces are no zstd stream: {error}");
    let decoder = ruzstd::decoding::StreamingDecoder::new(bytes).map_err(|error| broken(&error))?;
    let mut unpacked = Vec::new();
    let most = u64::try_from(FILE_MAX_BYTES).unwrap_or(u64::MAX);
    decoder.take(most + 1).read_to_end(&mut unpacked).map_err(|error| broken(&error))?;
    if unpacked.len() > FILE_MAX_BYTES {
        return Err(format!("the component has more than {FILE_MAX_BYTES} bytes"));
    }
    Ok(unpacked)
}

/// Lower-case hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Piece, join, sha256, whole};
    use std::collections::BTreeMap;

    fn piece(config_map: &str, digest: &str, part: usize, parts: usize, made: i64) -> Piece {
        let sha256 = (!digest.is_empty()).then(|| digest.to_owned());
        Piece { config_map: config_map.into(), sha256, part, parts, made: (made, made.to_string()) }
    }

    #[test]
    fn the_newest_whole_set_is_taken() {
        type Found<'a> = Result<&'a [&'a str], &'a str>;
        let cases: [(&str, Vec<Piece>, Found<'_>); 6] = [
            ("one", vec![piece("a", "", 0, 1, 1)], Ok(&["a"])),
            ("two parts, any order", vec![piece("b", "x", 1, 2, 1), piece("a", "x", 0, 2, 1)], Ok(&["a", "b"])),
            ("half", vec![piece("a", "x", 0, 2, 1)], Err("1 of 2 ConfigMaps")),
            (
                "half of a newer one",
                vec![piece("a", "x", 0, 2, 1), piece("b", "x", 1, 2, 1), piece("c", "y", 0, 2, 2)],
                Ok(&["a", "b"]),
            ),
            ("a newer one", vec![piece("a", "x", 0, 1, 1), piece("c", "y", 0, 1, 2)], Ok(&["c"])),
            ("a leftover", vec![piece("a", "y", 0, 1, 2), piece("b", "x", 1, 2, 1)], Ok(&["a"])),
        ];
        for (name, pieces, expected) in cases {
            let found = whole(pieces);
            match expected {
                Ok(names) => {
                    let found = found.unwrap();
                    assert_eq!(
                        found.pieces.iter().map(|it| it.config_map.as_str()).collect::<Vec<_>>(),
                        names,
                        "{name}"
                    );
                }
                Err(said) => assert!(found.unwrap_err().contains(said), "{name}"),
            }
        }
    }

    #[test]
    fn annotations_that_make_no_sense_are_named() {
        for (annotations, said) in [
            (vec![("claiflow.io/parts", "many")], "claiflow.io/parts is `many`"),
            (vec![("claiflow.io/part", "2"), ("claiflow.io/parts", "2")], "part 2 of 2"),
            (vec![("claiflow.io/parts", "100000")], "at most"),
            (vec![("claiflow.io/parts", "2")], "claiflow.io/sha256"),
        ] {
            let annotations: BTreeMap<_, _> =
                annotations.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let error = Piece::read("map".into(), (0, String::new()), &annotations).unwrap_err();
            assert!(error.contains(said) && error.starts_with("map"), "{error}");
        }
    }

    #[test]
    fn pieces_are_joined_and_checked() {
        // `printf hello | zstd -19`.
        let packed =
            [0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x29, 0, 0, b'h', b'e', b'l', b'l', b'o', 0xd2, 0x65, 0xbc, 0x13];
        let digest = sha256(b"hello");
        let (first, last) = packed.split_at(7);
        let pieces = [first.to_vec(), last.to_vec()];
        match join(&pieces, true, Some(&digest)) {
            Ok(bytes) => assert_eq!(bytes, b"hello"),
            Err(error) => panic!("{error}"),
        }
        assert!(join(&pieces[..1], true, Some(&digest)).is_err());
        assert!(join(&pieces, false, Some(&digest)).unwrap_err().contains("digest"));
        assert!(join(&[b"hello".to_vec()], true, None).unwrap_err().contains("zstd"));
    }
}

//! An encrypted file: eight bytes that say what it is, the id of its key, a random nonce, and the AES-256-GCM of the credential,
//! which is bound to all of that and to the credential's key: a file under another name does not decrypt.
//!
//! What the first version wrote is read too: a nonce, and the AES-256-GCM under the 32 characters of the cluster's uuid.

use std::io;

use ring::{
    aead::{Aad, LessSafeKey, NONCE_LEN, Nonce},
    rand::{SecureRandom as _, SystemRandom},
};

use super::key_file::{ID_BYTES, KEY_BYTES, Key, KeyFile, Keys, cipher, hex};

const MAGIC: [u8; 8] = *b"claiflc\x01";
const HEAD_BYTES: usize = MAGIC.len() + ID_BYTES;

/// The key of the first version: the 32 characters of a cluster's uuid.
#[derive(Clone)]
pub(super) struct Former([u8; KEY_BYTES]);

impl Former {
    /// None: the text is no uuid.
    pub(super) fn new(cluster: &str) -> Option<Self> {
        let characters: Vec<u8> = cluster.bytes().filter(|byte| *byte != b'-').collect();
        characters.try_into().ok().map(Self)
    }
}

/// The id of the key under which a file is; none: the first version wrote it, or somebody else.
pub(super) fn key_of(file: &[u8]) -> Option<&[u8]> {
    file.strip_prefix(&MAGIC)?.get(..ID_BYTES)
}

pub(super) fn seal(key: &Key, name: &str, plain: &[u8]) -> io::Result<Vec<u8>> {
    let failed = |_| io::Error::other("the system gives no random bytes, or the cipher fails");
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(failed)?;
    let mut file = [MAGIC.as_slice(), &key.id, &nonce].concat();
    let bound = bound(&key.id, name);
    let mut sealed = plain.to_vec();
    key.cipher
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut sealed)
        .map_err(failed)?;
    file.append(&mut sealed);
    Ok(file)
}

/// # Errors
/// What the file is instead, in words that an operator can act on.
pub(super) fn open(
    file: &[u8],
    name: &str,
    keys: Option<&Keys>,
    key_file: &KeyFile,
    former: Option<&Former>,
) -> Result<Vec<u8>, String> {
    let Some(id) = key_of(file) else { return open_former(file, former) };
    let missing =
        || format!("it is encrypted under the key {}, which {} does not hold", hex(id), key_file.path().display());
    let key = keys.and_then(|keys| keys.find(id)).ok_or_else(missing)?;
    let rest = file.get(HEAD_BYTES..).unwrap_or_default();
    decrypt(&key.cipher, rest, &bound(&key.id, name))
        .ok_or_else(|| format!("it is torn, was changed, or is another's that was moved here ({} bytes)", file.len()))
}

fn open_former(file: &[u8], former: Option<&Former>) -> Result<Vec<u8>, String> {
    let cipher = former.and_then(|Former(key)| cipher(key).ok());
    cipher.and_then(|cipher| decrypt(&cipher, file, &[])).ok_or_else(|| {
        format!(
            "no agent wrote it ({} bytes), or the first version did under the uuid of another cluster, or it is torn",
            file.len()
        )
    })
}

fn decrypt(cipher: &LessSafeKey, file: &[u8], bound: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = file.split_at_checked(NONCE_LEN)?;
    let (nonce, mut sealed) = (Nonce::try_assume_unique_for_key(nonce).ok()?, sealed.to_vec());
    let plain = cipher.open_in_place(nonce, Aad::from(bound), &mut sealed).ok()?;
    Some(plain.to_vec())
}

fn bound(id: &[u8; ID_BYTES], name: &str) -> Vec<u8> {
    [MAGIC.as_slice(), id, name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::{Former, KeyFile, open, seal};

    /// `{"key":"grafana","type":"grafana","data":"former token"}` as the first version encrypts it for this cluster: made with
    /// Python's `cryptography`, of the nonce 000102…0b.
    const CLUSTER: &str = "0123456789abcdef0123456789abcdef";
    const FORMER: &str = include_str!("former.hex");

    fn unhex(text: &str) -> Vec<u8> {
        let text = text.trim();
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_first_versions_files_are_read_under_their_cluster() {
        let nowhere = KeyFile::new("/nowhere".into());
        let open = |cluster: &str| open(&unhex(FORMER), "grafana", None, &nowhere, Former::new(cluster).as_ref());
        let plain = open("01234567-89ab-cdef-0123-456789abcdef").unwrap();
        assert_eq!(plain, br#"{"key":"grafana","type":"grafana","data":"former token"}"#);
        assert_eq!(open(CLUSTER).unwrap(), plain);
        for cluster in ["fedcba9876543210fedcba9876543210", "short", ""] {
            assert!(open(cluster).unwrap_err().contains("uuid of another cluster"), "{cluster}");
        }
    }

    #[test]
    fn a_file_that_is_not_as_it_was_written_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (file, other) = (KeyFile::new(directory.path().join("a")), KeyFile::new(directory.path().join("b")));
        let (keys, others) = (file.make().unwrap(), other.make().unwrap());
        let sealed = seal(&keys.newest, "one", b"secret").unwrap();
        assert_eq!(open(&sealed, "one", Some(&keys), &file, None).unwrap(), b"secret");
        assert_ne!(seal(&keys.newest, "one", b"secret").unwrap(), sealed, "each time under another nonce");
        assert!(open(&sealed, "two", Some(&keys), &file, None).unwrap_err().contains("moved here"));
        assert!(open(&sealed, "one", Some(&others), &other, None).unwrap_err().contains("does not hold"));
        assert!(open(&sealed, "one", None, &file, None).unwrap_err().contains("does not hold"));
        for length in 0..sealed.len() {
            let error = open(&sealed[..length], "one", Some(&keys), &file, Former::new(CLUSTER).as_ref()).unwrap_err();
            assert!(error.contains("torn"), "{length}: {error}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&changed, "one", Some(&keys), &file, None).is_err(), "{at}");
        }
    }
}

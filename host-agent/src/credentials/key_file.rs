//! The keys under which files are encrypted: one a line in a file, 64 hexadecimal digits, the newest last. The newest encrypts,
//! all decrypt, so a key is changed by a line that is added.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use ring::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};

use super::files;

pub(super) const KEY_BYTES: usize = 32;
pub(super) const ID_BYTES: usize = 8;
const KEYS_MAX: usize = 16;

/// Where the keys are.
#[derive(Clone, Debug)]
pub struct KeyFile(PathBuf);

/// A key, known by an id that says nothing of it.
pub(super) struct Key {
    pub(super) id: [u8; ID_BYTES],
    pub(super) cipher: LessSafeKey,
    bytes: [u8; KEY_BYTES],
}

/// All of them.
#[derive(Debug)]
pub(super) struct Keys {
    older: Vec<Key>,
    pub(super) newest: Key,
}

impl KeyFile {
    /// Nothing is read yet.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The keys; none where there is no file.
    pub(super) fn read(&self) -> io::Result<Option<Keys>> {
        let told = |message: String| io::Error::other(format!("{}: {message}", self.0.display()));
        let Some(bytes) = files::read(&self.0).map_err(|error| told(error.to_string()))? else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).map_err(|_| told("it is no text".to_owned()))?;
        let mut keys = Vec::new();
        for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // What the line says is a secret, or may be one.
            let wrong = || told(format!("line {at}: expected a key, which is 64 hexadecimal digits"));
            keys.push(Key::new(unhex(line).ok_or_else(wrong)?)?);
        }
        if keys.len() > KEYS_MAX {
            return Err(told(format!("{} keys; at most {KEYS_MAX} are read", keys.len())));
        }
        let newest = keys.pop().ok_or_else(|| told("it holds no key".to_owned()))?;
        Ok(Some(Keys { older: keys, newest }))
    }

    /// Makes the file with a first key.
    pub(super) fn make(&self) -> io::Result<Keys> {
        let keys = Keys { older: Vec::new(), newest: Key::random()? };
        files::create(&self.0, keys.text().as_bytes())
            .map_err(|error| io::Error::new(error.kind(), format!("{} cannot be made: {error}", self.0.display())))?;
        Ok(keys)
    }

    /// Puts these keys in the place of those that are there.
    pub(super) fn replace(&self, keys: &Keys) -> io::Result<()> {
        let replaced = files::replace(&self.0, keys.text().as_bytes()).and_then(|durable| durable);
        replaced.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.0.display())))
    }
}

impl Key {
    fn new(bytes: [u8; KEY_BYTES]) -> io::Result<Self> {
        let hash = digest(&SHA256, &[b"claiflow credential key", bytes.as_slice()].concat());
        let mut id = [0; ID_BYTES];
        id.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        Ok(Self { id, cipher: cipher(&bytes)?, bytes })
    }

    fn random() -> io::Result<Self> {
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bytes"))?;
        Self::new(bytes)
    }
}

impl Keys {
    pub(super) fn find(&self, id: &[u8]) -> Option<&Key> {
        std::iter::once(&self.newest).chain(&self.older).find(|key| key.id == id)
    }

    pub(super) fn are_several(&self) -> bool {
        !self.older.is_empty()
    }

    /// The same with a new one that is the newest.
    pub(super) fn with_another(self) -> io::Result<Self> {
        let Self { mut older, newest } = self;
        older.push(newest);
        Ok(Self { older, newest: Key::random()? })
    }

    /// The newest alone, and how many others there were.
    pub(super) fn newest_alone(self) -> (Self, usize) {
        (Self { older: Vec::new(), newest: self.newest }, self.older.len())
    }

    fn text(&self) -> String {
        let keys = self.older.iter().chain(std::iter::once(&self.newest));
        keys.map(|key| hex(&key.bytes) + "\n").collect()
    }
}

/// AES-256-GCM under 32 bytes.
pub(super) fn cipher(bytes: &[u8; KEY_BYTES]) -> io::Result<LessSafeKey> {
    let unbound = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| io::Error::other("the key cannot be used"))?;
    Ok(LessSafeKey::new(unbound))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut bytes = [0; KEY_BYTES];
    if text.len() != KEY_BYTES * 2 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", hex(&self.id))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::KeyFile;

    #[test]
    fn keys_are_lines_of_which_the_last_is_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::new(directory.path().join("key"));
        assert!(file.read().unwrap().is_none());
        let made = file.make().unwrap();
        assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        let first = made.newest.id;
        assert!(file.make().is_err(), "a key that is there is never written over");
        let two = file.read().unwrap().unwrap().with_another().unwrap();
        file.replace(&two).unwrap();
        let read = file.read().unwrap().unwrap();
        assert!(read.newest.id == two.newest.id && read.find(&first).is_some() && read.are_several());
        let (alone, forgotten) = read.newest_alone();
        assert!(forgotten == 1 && alone.find(&first).is_none());
        assert!(!format!("{two:?}").contains(&super::hex(&two.newest.bytes)));
    }

    #[test]
    fn a_line_that_is_no_key_is_named_and_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::new(directory.path().join("key"));
        for (text, part) in [
            ("", "no key"),
            ("# none yet\n\n", "no key"),
            ("\n# one\nnotakey\n", "line 3: expected a key"),
            (&format!("{}\n{}x\n", "0".repeat(64), "1".repeat(63)), "line 2: expected a key"),
        ] {
            std::fs::write(file.path(), text).unwrap();
            let error = file.read().unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("notakey"), "{error}");
        }
    }
}

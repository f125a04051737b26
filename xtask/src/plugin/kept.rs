//! Components that a slow compiler made, by a digest of all that went into them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{place, sha256};

/// The component of the plugin `name` that was made of `parts` before and is kept in `directory`, or the one that `make` makes now and
/// names the file of.
///
/// # Errors
/// Those of `make`, or when a file cannot be read or written.
pub(super) fn or_made(
    directory: &Path,
    name: &str,
    parts: &[&str],
    make: impl FnOnce() -> Result<PathBuf>,
) -> Result<Vec<u8>> {
    // Each part's length stands before it: no two lists of parts have one text.
    let text: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    let path = directory.join(format!("{name}-{}.wasm", sha256(text.as_bytes())));
    if let Ok(component) = fs::read(&path) {
        return Ok(component);
    }
    let made = make()?;
    let component = fs::read(&made).with_context(|| format!("{} was not made", made.display()))?;
    // Of a plugin only the last one is kept.
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let old = entry?.path();
        let stem = old.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.rsplit_once('-'));
        if stem.is_some_and(|(plugin, _)| plugin == name) {
            fs::remove_file(&old).with_context(|| format!("{} cannot be removed", old.display()))?;
        }
    }
    place(&path, &component)?;
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::or_made;
    use anyhow::bail;
    use std::fs;

    #[test]
    fn what_was_made_of_the_same_parts_is_not_made_again() {
        let work = tempfile::tempdir().unwrap();
        let (directory, made) = (work.path().join("made"), work.path().join("made.wasm"));
        fs::write(&made, "first").unwrap();
        assert_eq!(or_made(&directory, "a", &["x", "y"], || Ok(made.clone())).unwrap(), b"first");
        assert_eq!(or_made(&directory, "a", &["x", "y"], || bail!("it is kept")).unwrap(), b"first");
        fs::write(&made, "second").unwrap();
        assert_eq!(or_made(&directory, "a-b", &["x", "y"], || Ok(made.clone())).unwrap(), b"second");
        // The same letters, cut elsewhere.
        assert_eq!(or_made(&directory, "a", &["xy", ""], || Ok(made.clone())).unwrap(), b"second");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2, "of each plugin the last one");
        assert_eq!(or_made(&directory, "a-b", &["x", "y"], || bail!("it is kept")).unwrap(), b"second");
    }
}

//! Components that a slow compiler made, by a digest of all that went into them.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{guests, place, sha256};

/// The component made of `parts` before, or the one that `make` makes now and names the file of.
///
/// # Errors
/// Those of `make`, or when a file cannot be read or written.
pub(super) fn or_made(name: &str, parts: &[&str], make: impl FnOnce() -> Result<PathBuf>) -> Result<Vec<u8>> {
    // Each part's length stands before it: no two lists of parts have one text.
    let text: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    let directory = guests().join("made");
    let path = directory.join(format!("{name}-{}.wasm", sha256(text.as_bytes())));
    if let Ok(component) = fs::read(&path) {
        return Ok(component);
    }
    let made = make()?;
    let component = fs::read(&made).with_context(|| format!("{} was not made", made.display()))?;
    // Of a plugin only the last one is kept.
    for entry in fs::read_dir(&directory).into_iter().flatten() {
        let old = entry?.path();
        let stem = old.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.rsplit_once('-'));
        if stem.is_some_and(|(plugin, _)| plugin == name) {
            fs::remove_file(&old).with_context(|| format!("{} cannot be removed", old.display()))?;
        }
    }
    place(&path, &component)?;
    Ok(component)
}

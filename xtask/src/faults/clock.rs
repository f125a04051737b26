//! Clocks that are wrong, by Debian's libfaketime.

use std::path::Path;

/// The variables that give a program a wall clock which is off by so many hours; its monotonic clock stays right. None where
/// libfaketime is missing.
pub(super) fn skewed(hours: i64) -> Option<Vec<(&'static str, String)>> {
    let library = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
        .map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"))
        .into_iter()
        .find(|library| library.exists())?;
    Some(vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", format!("{hours:+}h")),
        ("DONT_FAKE_MONOTONIC", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ])
}

//! The custom section `claiflow:plugin`: name, version and commands as one JSON object, put together when the plugin is
//! compiled, so that tools read it from the file without running anything.

#![allow(clippy::indexing_slicing, reason = "evaluated when a plugin is compiled, where a mistake is a compile error")]

use crate::Plugin;

/// Pieces of the JSON text. A plugin has at most 512 commands, and a comma before all but the first.
#[doc(hidden)]
pub const PARTS_MAX: usize = 6 + 2 * 512;

/// The section's text in pieces; what is not used is empty.
pub const fn parts(plugin: &Plugin) -> [&'static str; PARTS_MAX] {
    let mut parts = [""; PARTS_MAX];
    let mut filled = 0;
    let head = ["{\"name\":\"", plugin.name, "\",\"version\":\"", plugin.version, "\",\"commands\":["];
    while filled < head.len() {
        parts[filled] = head[filled];
        filled += 1;
    }
    let mut index = 0;
    while index < plugin.commands.len() {
        if index > 0 {
            parts[filled] = ",";
            filled += 1;
        }
        parts[filled] = plugin.commands[index].entry;
        filled += 1;
        index += 1;
    }
    parts[filled] = "]}";
    parts
}

/// Bytes of all parts.
pub const fn length(parts: &[&str]) -> usize {
    let (mut total, mut index) = (0, 0);
    while index < parts.len() {
        total += parts[index].len();
        index += 1;
    }
    total
}

/// All parts in one array of [`length`] bytes.
pub const fn join<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut bytes = [0; N];
    let (mut at, mut index) = (0, 0);
    while index < parts.len() {
        let part = parts[index].as_bytes();
        let mut byte = 0;
        while byte < part.len() {
            bytes[at] = part[byte];
            at += 1;
            byte += 1;
        }
        index += 1;
    }
    bytes
}

/// Whether a plugin can have this name: a DNS label, as it names a file, a grant and a ConfigMap.
pub const fn is_plugin_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() > 63 || bytes[0] == b'-' || bytes[bytes.len() - 1] == b'-' {
        return false;
    }
    let mut index = 0;
    while index < bytes.len() {
        if !matches!(bytes[index], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::is_plugin_name;

    #[test]
    fn a_plugins_name_is_a_dns_label() {
        for name in ["a", "restart-tool", "2fa", &"x".repeat(63)] {
            assert!(is_plugin_name(name), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a_b", "a.b", "ä", &"x".repeat(64)] {
            assert!(!is_plugin_name(name), "{name}");
        }
    }
}

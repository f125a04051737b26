//! Whether a path means the same to the host that judges it and the server that gets it.

use super::origin::shown;

/// How often a path is decoded in search of what it hides; who encodes oftener means it as text.
const DECODED_MAX: usize = 3;

/// Refuses what a server may read as another path than the one that was granted.
///
/// # Errors
/// What is wrong with the path and what would be right.
pub(super) fn check(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err(format!("the path `{}` does not begin with a slash", shown(path)));
    }
    let mut bytes = path.as_bytes().to_vec();
    let slashes = count(&bytes, b'/');
    for _ in 0..=DECODED_MAX {
        let refused = |what: &str| Err(format!("the path `{}` holds {what}", shown(path)));
        if bytes.iter().any(|&byte| byte < b' ' || byte == 0x7f) {
            return refused("a control character");
        }
        if bytes.contains(&b'\\') {
            return refused("a backslash, which some servers take for a slash");
        }
        if count(&bytes, b'/') != slashes {
            return refused("an encoded slash; write it as a slash, or send it in the query");
        }
        if bytes.split(|&byte| byte == b'/').any(is_dots) {
            return refused("a segment `.` or `..`; write the path without it");
        }
        match decoded(&bytes) {
            Some(next) => bytes = next,
            None => return Ok(()),
        }
    }
    Err(format!("the path `{}` is encoded several times over", shown(path)))
}

/// `..;x` counts as `..` where a server takes parameters of segments off.
fn is_dots(segment: &[u8]) -> bool {
    let name = segment.split(|&byte| byte == b';').next().unwrap_or_default();
    matches!(name, b"." | b"..")
}

fn count(bytes: &[u8], wanted: u8) -> usize {
    bytes.iter().filter(|&&byte| byte == wanted).count()
}

/// With each `%XX` replaced; none where there is none.
fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut output = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        let hex = |byte: u8| char::from(byte).to_digit(16);
        match (first, after) {
            (b'%', [high, low, behind @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                let value = hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0);
                output.push(u8::try_from(value).unwrap_or(0));
                rest = behind;
            }
            _ => {
                output.push(first);
                rest = after;
            }
        }
    }
    (output.len() < bytes.len()).then_some(output)
}

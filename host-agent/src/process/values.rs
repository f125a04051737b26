//! The values of a release, as they come on standard input.

use super::{Failure, Profile};

const VALUES_MAX_BYTES: usize = 4 << 20;

/// What the program reads: a JSON object, which is YAML too. Nothing stands for no values.
///
/// # Errors
/// `invalid` or `too-large`.
pub(super) fn checked(profile: Profile, stdin: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if !profile.reads_values() {
        if stdin.is_empty() {
            return Ok(stdin);
        }
        return Err(Failure::invalid(format!("`{profile}` reads nothing from its standard input")));
    }
    if stdin.is_empty() {
        return Ok(b"{}".to_vec());
    }
    if stdin.len() > VALUES_MAX_BYTES {
        let message = format!("the values have {} bytes; at most {VALUES_MAX_BYTES} are given to a chart", stdin.len());
        return Err(Failure::new("too-large", message));
    }
    match serde_json::from_slice::<serde_json::Value>(&stdin) {
        Ok(serde_json::Value::Object(_)) => Ok(stdin),
        Ok(_) => Err(Failure::invalid("the values are no object")),
        Err(error) => Err(Failure::invalid(format!("the values are not JSON: {error}"))),
    }
}

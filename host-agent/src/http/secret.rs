//! A credential's bytes, which nothing prints.

use std::fmt;

use base64::Engine as _;

/// Shorter parts of a credential say nothing, and cutting them would garble answers.
const PART_MIN_BYTES: usize = 4;

/// What stands in the header that carries a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The header's value, without a line end at its end.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let mut bytes = bytes.into();
        while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            bytes.pop();
        }
        Self(bytes)
    }

    /// For who puts them where nobody else reads.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What must not come back, longest first: the whole, what follows its scheme, and of `Basic` what that stands for.
    pub(super) fn parts(&self) -> Vec<Vec<u8>> {
        let mut parts = vec![self.0.clone()];
        if let Some(space) = self.0.iter().position(|&byte| byte == b' ') {
            let (scheme, token) = self.0.split_at(space);
            let token = token.trim_ascii().to_vec();
            if scheme.eq_ignore_ascii_case(b"basic")
                && let Ok(plain) = base64::engine::general_purpose::STANDARD.decode(&token)
            {
                parts.extend(
                    plain.iter().position(|&byte| byte == b':').and_then(|at| Some(plain.get(at + 1..)?.to_vec())),
                );
                parts.push(plain);
            }
            parts.push(token);
        }
        let whole = self.0.len();
        parts.retain(|part| !part.is_empty() && (part.len() >= PART_MIN_BYTES || part.len() == whole));
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        parts.dedup();
        parts
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn what_a_credential_stands_for_counts_as_it() {
        let parts = |text: &str| -> Vec<String> {
            Secret::new(text).parts().into_iter().map(|part| String::from_utf8(part).unwrap()).collect()
        };
        assert_eq!(parts("Bearer abcdef\n"), ["Bearer abcdef", "abcdef"]);
        assert_eq!(
            parts("Basic dXNlcjpzZWNyZXQ="),
            ["Basic dXNlcjpzZWNyZXQ=", "dXNlcjpzZWNyZXQ=", "user:secret", "secret"]
        );
        assert_eq!(parts("key"), ["key"]);
        assert_eq!(parts(""), Vec::<String>::new());
        assert_eq!(format!("{:?}", Secret::new("Bearer abcdef")), "***");
    }
}

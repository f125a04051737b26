//! A credential for a repository or a registry, which nothing prints.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Failure;

/// Shorter parts say nothing, and cutting them would garble what a program says.
const PART_MIN_BYTES: usize = 4;

/// Who asks, as repositories want to know it.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token, which registries take and repositories do not.
    Bearer(String),
}

impl Login {
    /// Of a credential's bytes: `user:password`, `Basic …` or `Bearer …`.
    ///
    /// # Errors
    /// `invalid`, without a word of the credential.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, Failure> {
        let wrong = || {
            let message = format!(
                "the credential `{name}` is no login: `user:password`, `Basic …` or, for a registry, `Bearer …` would be one"
            );
            Failure::invalid(message)
        };
        let text = std::str::from_utf8(bytes).map_err(|_| wrong())?.trim();
        let scheme = |word: &str| {
            let (scheme, rest) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case(word).then_some(rest.trim())
        };
        if let Some(token) = scheme("bearer") {
            return Ok(Self::Bearer(token.to_owned()));
        }
        let plain = match scheme("basic") {
            Some(encoded) => String::from_utf8(STANDARD.decode(encoded).map_err(|_| wrong())?).map_err(|_| wrong())?,
            None => text.to_owned(),
        };
        let (user, password) = plain.split_once(':').ok_or_else(wrong)?;
        if user.is_empty() || password.is_empty() || plain.contains(char::is_control) {
            return Err(wrong());
        }
        Ok(Self::Password { user: user.to_owned(), password: password.to_owned() })
    }

    /// What must not be seen in anything that a program says.
    pub(super) fn parts(&self) -> Vec<Vec<u8>> {
        let parts = match self {
            Self::Password { user, password } => {
                vec![format!("{user}:{password}"), self.encoded().unwrap_or_default(), password.clone()]
            }
            Self::Bearer(token) => vec![token.clone()],
        };
        parts.into_iter().filter(|part| part.len() >= PART_MIN_BYTES).map(String::into_bytes).collect()
    }

    /// As `Basic` has it.
    pub(super) fn encoded(&self) -> Option<String> {
        match self {
            Self::Password { user, password } => Some(STANDARD.encode(format!("{user}:{password}"))),
            Self::Bearer(_) => None,
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::Login;

    #[test]
    fn a_login_is_read_and_never_shown() {
        let of = |user: &str, password: &str| Login::Password { user: user.into(), password: password.into() };
        for (text, login) in [
            ("ann:open sesame\n", of("ann", "open sesame")),
            ("ann:a:b", of("ann", "a:b")),
            ("Basic YW5uOnNlY3JldA==", of("ann", "secret")),
            ("bearer abc", Login::Bearer("abc".into())),
        ] {
            assert_eq!(Login::read("charts", text.as_bytes()), Ok(login), "{text}");
        }
        for text in ["", "planted", ":planted", "ann:", "Basic planted", "ann:pl\u{7}anted"] {
            let refused = Login::read("charts", text.as_bytes()).unwrap_err();
            assert!(refused.message.contains("`charts`") && !refused.message.contains("planted"), "{refused}");
        }
        assert_eq!(format!("{:?}", of("ann", "secret")), "***");
        assert!(of("ann", "secret").parts().contains(&b"YW5uOnNlY3JldA==".to_vec()));
    }
}

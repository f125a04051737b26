//! `auth`: who may call the management routes.

use std::{fmt, net::IpAddr};

use super::{Error, keys::Settings};
use crate::app::recognise::PREFIX;

/// Characters of a token behind its beginning, at least: fewer could be guessed.
const SECRET_CHARACTERS: usize = 32;
/// Characters of a token at most.
const SECRET_MOST: usize = 512;

/// How callers are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nobody has to say who they are: on a loopback address only.
    None,
    /// Everybody shows an API token.
    Token,
    /// Everybody shows an API token or one of the issuer in `auth.oidc`.
    Oidc,
}

/// A text that is in no log and no error.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a secret")
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// How callers are recognised.
    pub mode: Mode,
    /// The first admin's token.
    pub bootstrap: Option<Secret>,
}

/// Whether an address, `host:port`, is reached from this machine only.
fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    plain.eq_ignore_ascii_case("localhost") || plain.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads `auth` for the address that the management routes listen on.
///
/// # Errors
/// [`Error::Value`].
pub(super) fn read(settings: &Settings, http: &str) -> Result<Auth, Error> {
    let mode = match settings.get("auth.mode") {
        None if is_loopback(http) => Mode::None,
        None | Some("token") => Mode::Token,
        Some("oidc") => Mode::Oidc,
        Some("none") if is_loopback(http) => Mode::None,
        Some("none") => {
            return Err(Error::value(
                "auth.mode",
                format!(
                    "`none` lets everybody in who reaches {http}, which is not a loopback address: set `http.host: 127.0.0.1` and \
                     reach it through an SSH tunnel or `kubectl port-forward`, or set `auth.mode: token`"
                ),
            ));
        }
        Some(other) => return Err(Error::value("auth.mode", format!("`{other}` is not one of none, token, oidc"))),
    };
    Ok(Auth { mode, bootstrap: bootstrap(settings)? })
}

fn bootstrap(settings: &Settings) -> Result<Option<Secret>, Error> {
    let Some(text) = settings.get("auth.bootstrapToken") else { return Ok(None) };
    // Mounted Secrets often end with a line break.
    let text = text.trim_end();
    let secret = text.strip_prefix(PREFIX).unwrap_or_default();
    let fits =
        (SECRET_CHARACTERS..=SECRET_MOST).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        return Ok(Some(Secret(text.to_owned())));
    }
    Err(Error::value(
        "auth.bootstrapToken",
        format!(
            "it is `{PREFIX}` and {SECRET_CHARACTERS} to {SECRET_MOST} random characters without spaces, such as `{PREFIX}$(openssl rand -hex 32)` gives"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        for (address, expected) in [
            ("127.0.0.1:8099", true),
            ("127.8.9.1:0", true),
            ("localhost:8099", true),
            ("[::1]:8099", true),
            ("0.0.0.0:8099", false),
            ("[::]:8099", false),
            ("10.0.0.1:8099", false),
            ("localhost.example.com:8099", false),
            ("claiflow:8099", false),
        ] {
            assert_eq!(is_loopback(address), expected, "{address}");
        }
    }
}

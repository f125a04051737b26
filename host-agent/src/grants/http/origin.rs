//! Where a request goes: scheme, host and port, in the one form in which they are compared.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ::http::Uri;

const NAME_MAX_BYTES: usize = 253;
const LABEL_MAX_BYTES: usize = 63;
/// What is shown of a text that is refused.
const SHOWN_MAX_CHARS: usize = 80;

/// Scheme, host and port. The host is in lower case without a trailing dot, and a port that was not said is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    host: Host,
    port: u16,
}

/// A name to resolve, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Lower-case labels.
    Name(String),
    /// As it was written; an address inside an address is not unfolded here.
    Address(IpAddr),
}

impl Origin {
    /// Of a URL, whatever its path.
    ///
    /// # Errors
    /// What is wrong with it and what would be right.
    pub fn of(url: &Uri) -> Result<Self, String> {
        let secure = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(scheme) => return Err(format!("the scheme `{}` is neither https nor http", shown(scheme))),
            None => return Err("it has no scheme; write it as https://HOST".to_owned()),
        };
        let authority = url.authority().ok_or("it has no host; write it as https://HOST")?.as_str();
        if authority.contains('@') {
            return Err("it has a user or password before the host; a credential goes with a request by \
                        `claiflow-credential`"
                .to_owned());
        }
        let (host, port) = parts(authority)?;
        let port = match port {
            None if secure => 443,
            None => 80,
            Some(text) => number(text).ok_or_else(|| format!("`{}` is no port from 1 to 65535", shown(text)))?,
        };
        Ok(Self { secure, host: Host::parse(host)?, port })
    }

    /// Of text that holds nothing else, as an operator writes it.
    ///
    /// # Errors
    /// What is wrong with it and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url: Uri = text.parse().map_err(|error| format!("`{}` is no URL: {error}", shown(text)))?;
        let origin = Self::of(&url)?;
        if url.path_and_query().is_some_and(|rest| rest.as_str() != "/") || text.contains('#') {
            return Err(format!("it has more than scheme, host and port; write {origin}, and the path in `paths`"));
        }
        Ok(origin)
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whom to ask.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Where to knock.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as the `host` header says them: a port that the scheme implies is left out.
    #[must_use]
    pub fn authority(&self) -> String {
        let implied = if self.secure { 443 } else { 80 };
        if self.port == implied { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.authority())
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr =
                inside.parse().map_err(|_| format!("`{}` is no IPv6 address without a zone", shown(text)))?;
            return Ok(Self::Address(address.into()));
        }
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        let hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
            || last.strip_prefix("0x").is_some_and(hexadecimal)
        {
            return Err(format!(
                "the host `{}` is a number; an IPv4 address has four parts from 0 to 255",
                shown(text)
            ));
        }
        if name.len() <= NAME_MAX_BYTES && name.split('.').all(is_label) {
            return Ok(Self::Name(name.to_owned()));
        }
        Err(format!("`{}` is no host: labels of letters, digits, `-` and `_` with dots between them", shown(text)))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Host and port of an authority without user.
fn parts(authority: &str) -> Result<(&str, Option<&str>), String> {
    let end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']').map_or(authority.len(), |end| end + 2),
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at_checked(end).unwrap_or((authority, ""));
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(format!("`{}` is no host with a port", shown(authority))),
    }
}

fn number(text: &str) -> Option<u16> {
    // `parse` alone would take `+443`.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten().filter(|&port| port != 0)
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=LABEL_MAX_BYTES).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A guest's text, cut and without control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

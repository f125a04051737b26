//! A webhook's URL, which nobody checked when it was stored.

use std::net::IpAddr;

use http::Uri;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_secure: bool,
    /// What stands in the request's first line.
    pub(super) path: String,
    /// What stands in the header `Host`.
    pub(super) authority: String,
}

impl Target {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, with nothing of the URL, which may hold a secret.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.trim().parse().map_err(|_| "`url` is not one; write it as https://host/path")?;
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("`url` begins with neither https:// nor http://"),
        };
        let authority = uri.authority().ok_or("`url` names no host; write it as https://host/path")?;
        if authority.as_str().contains('@') {
            return Err("`url` holds a name or a password before its host; send them in `headers`");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err("`url` names no host; write it as https://host/path");
        }
        let port = match authority.port_u16() {
            Some(0) => return Err("`url` has the port 0, on which nobody listens"),
            Some(port) => port,
            None if is_secure => 443,
            None => 80,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { host, port, is_secure, path, authority: authority.as_str().to_owned() })
    }

    /// The address that stands in place of a name.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_url_is_read_or_refused_without_being_repeated() {
        for (url, host, port, path) in [
            ("https://hooks.example.com/a?b=c", "hooks.example.com", 443, "/a?b=c"),
            ("http://Hooks.Example.COM:8080", "hooks.example.com", 8080, "/"),
            ("http://[::1]:80/x", "::1", 80, "/x"),
            ("http://127.1/", "127.1", 80, "/"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.host.as_str(), target.port, target.path.as_str()), (host, port, path), "{url}");
        }
        for url in [
            "http:localhost",
            "localhost",
            "/path",
            "ftp://secret.example.com/",
            "http://name:secret@host/",
            "http://host:0/",
            "http://",
            "http://host name/",
            "",
        ] {
            let refusal = Target::parse(url).unwrap_err();
            assert!(!refusal.contains("secret"), "{url}: {refusal}");
        }
    }
}

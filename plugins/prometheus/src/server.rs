//! Where Prometheus is, from what people write.

use claiflow_sdk::Error;

/// A Prometheus: scheme, host, port and the prefix of its paths, without a slash at the end. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server(String);

impl Server {
    /// Reads the input `url`. Without a scheme it is `http`; slashes at the end make no difference.
    ///
    /// # Errors
    /// `invalid`, without what may be a password.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let invalid = |why: &str| {
            let right = "where Prometheus answers, such as `http://prometheus.monitoring.svc:9090`, with its path prefix if it has one";
            Err(Error::invalid(format!("`url` {why}; it says {right}")))
        };
        let url = url.trim();
        let (scheme, rest) = match url.split_once("://") {
            None => ("http".to_owned(), url.trim_start_matches('/')),
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return invalid("holds a user or a password; take them out, and name a granted credential in `credential`");
        }
        if !matches!(scheme.as_str(), "http" | "https") {
            return invalid("begins with another scheme than `http` or `https`");
        }
        if authority.is_empty() {
            return invalid("names no host");
        }
        if path.contains(['?', '#']) {
            return invalid("goes on behind its path; take away what begins with `?` or `#`");
        }
        if url.contains(|character: char| character.is_whitespace() || character.is_control()) {
            return invalid("holds a space or a control character");
        }
        Ok(Self(format!("{scheme}://{authority}{}", path.trim_end_matches('/'))))
    }

    /// The URL of a part of the API, such as `query`.
    pub(crate) fn api(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.0)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn a_server_is_the_same_however_it_is_written() {
        for (url, api) in [
            ("http://prometheus:9090", "http://prometheus:9090/api/v1/query"),
            ("prometheus:9090", "http://prometheus:9090/api/v1/query"),
            ("  HTTPS://prometheus.example.com//", "https://prometheus.example.com/api/v1/query"),
            ("//prometheus", "http://prometheus/api/v1/query"),
            ("prometheus.example.com/team/a/", "http://prometheus.example.com/team/a/api/v1/query"),
            ("http://[::1]:9090/p", "http://[::1]:9090/p/api/v1/query"),
        ] {
            assert_eq!(Server::parse(url).unwrap().api("query"), api, "{url}");
        }
    }

    #[test]
    fn what_is_no_server_is_told_without_its_password() {
        for (url, part) in [
            ("", "names no host"),
            ("http://", "names no host"),
            ("http:///api", "names no host"),
            ("ftp://prometheus", "another scheme"),
            ("http://prometheus/graph?g0.expr=up", "behind its path"),
            ("http://prometheus#x", "behind its path"),
            ("http://prome theus", "a space"),
            ("http://user:hunter2@prometheus:9090", "`credential`"),
            ("ftp://user:hunter2@prometheus", "`credential`"),
        ] {
            let error = Server::parse(url).unwrap_err();
            assert!(error.code() == "invalid" && error.message().contains(part), "{url}: {error}");
            assert!(error.message().starts_with("`url` ") && !error.message().contains("hunter2"), "{error}");
        }
    }
}

//! Requests over HTTP, as far as the operator granted them. Needs `capabilities = ["http"]` beside the plugin's name in
//! `Cargo.toml`.
//!
//! ```
//! use claiflow_sdk::{Error, http::Request, testing::Web};
//!
//! fn version(url: &str) -> Result<String, Error> {
//!     let answer = Request::get(url).header("accept", "application/json").send()?.checked()?;
//!     Ok(answer.json::<serde_json::Value>()?["version"].to_string())
//! }
//!
//! // In a test, with a server that is played:
//! let web = Web::new();
//! web.answers("GET", "https://shop.example.com/version", 200, r#"{"version": 7}"#);
//! assert_eq!(version("https://shop.example.com/version").unwrap(), "7");
//! ```
//!
//! A request that is not granted fails with the code `denied` and says what would allow it. A credential of the operator goes
//! with a request by its name, see [`Request::credential`]; the plugin does not see it.

mod location;
mod response;

use std::{fmt, time::Duration};

#[cfg(target_family = "wasm")]
pub(crate) use location::parts;
pub use response::Response;

use crate::{Error, outside};

/// More hops are a circle.
const HOPS_MAX: usize = 5;
/// Whose value is for one host only.
const FOR_ONE_HOST: [&str; 4] = ["authorization", "claiflow-credential", "cookie", "proxy-authorization"];
/// What describes a body that is not sent any more.
const OF_THE_BODY: [&str; 3] = ["content-encoding", "content-length", "content-type"];
const CREDENTIAL: &str = "claiflow-credential";

/// A request in the making.
#[derive(Clone)]
#[must_use = "nothing is sent before `send`"]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout: Option<Duration>,
    follow: bool,
}

impl Request {
    /// `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// `POST`.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// `PUT`.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// `DELETE`.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// Any method, in upper case, and an absolute URL.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
            follow: true,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// Sends the operator's credential of that name with it: the host puts it in, where it is granted for the URL's host and the
    /// method, and cuts it out of the answer.
    pub fn credential(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| header != CREDENTIAL);
        self.header(CREDENTIAL, name)
    }

    /// What is sent, at most 16 MiB.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Sends the value as JSON text, and says so in `content-type`.
    ///
    /// # Errors
    /// `failed` where it cannot be written as JSON.
    pub fn json(self, value: &impl serde::Serialize) -> Result<Self, Error> {
        Ok(self.body(serde_json::to_vec(value)?).header("content-type", "application/json"))
    }

    /// How long each step may take: to connect, to answer, between pieces of the answer. Without it, as long as the call may
    /// take.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Answers a redirection as it comes. Otherwise up to five are followed, each a new request that has to be granted; what was
    /// for the first host alone is not sent to another.
    pub fn no_redirects(self) -> Self {
        Self { follow: false, ..self }
    }

    /// Sends it and reads the answer, whatever its status.
    ///
    /// # Errors
    /// `denied` where it is not granted, `invalid` for a URL or header that is none, `unavailable` where nobody answers,
    /// `timeout`, `too-large` over 16 MiB, `stopped` for a write after the task was asked to stop.
    pub fn send(mut self) -> Result<Response, Error> {
        for _ in 0..=HOPS_MAX {
            let (status, headers, body) = outside::http::send(&self)?;
            let answer = Response { url: self.url.clone(), status, headers, body };
            let Some(location) = self.redirected(&answer) else { return Ok(answer) };
            self.turn_to(location, status);
        }
        Err(Error::failed(format!("{} was redirected more than {HOPS_MAX} times", self.url)))
    }

    /// Where the answer sends it.
    fn redirected(&self, answer: &Response) -> Option<String> {
        let is_redirection = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        let location = answer.header("location").filter(|_| self.follow && is_redirection)?;
        location::join(&self.url, location)
    }

    fn turn_to(&mut self, url: String, status: u16) {
        if location::origin(&url) != location::origin(&self.url) {
            self.headers.retain(|(name, _)| !FOR_ONE_HOST.contains(&name.as_str()));
        }
        let is_read = matches!(self.method.as_str(), "GET" | "HEAD");
        if status == 303 && !is_read || matches!(status, 301 | 302) && self.method == "POST" {
            self.method = "GET".to_owned();
            self.body.clear();
            self.headers.retain(|(name, _)| !OF_THE_BODY.contains(&name.as_str()));
        }
        self.url = url;
    }
}

/// Without values of headers and body, which may be secret.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

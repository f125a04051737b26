//! One question to the API, and what comes in the way before there is an answer.

use std::time::Duration;

use claiflow_sdk::{Error, http::Request, task};

use crate::{answer, credential::Credential, data::Data, form::Form, server::Server};

/// So much of the call's time is left to say that the answer did not come.
const RESERVE: Duration = Duration::from_millis(500);
/// Statuses after which a form is sent again behind the `?` of a URL: the server takes no POST, or sends on to another place,
/// where a body does not arrive.
const BY_GET: [u16; 7] = [301, 302, 303, 307, 308, 405, 501];

/// A Prometheus, and the credential that goes with each question.
pub(crate) struct Prometheus<'a> {
    server: Server,
    credential: Option<&'a str>,
}

impl<'a> Prometheus<'a> {
    /// # Errors
    /// `invalid` for a `url` that is none.
    pub(crate) fn at(url: &str, credential: &'a Credential) -> Result<Self, Error> {
        Ok(Self { server: Server::parse(url)?, credential: credential.name() })
    }

    /// Asks a part of the API, such as `alerts`.
    ///
    /// # Errors
    /// What Prometheus says against it, or what comes instead of its answer.
    pub(crate) fn get(&self, path: &str, form: &Form) -> Result<Data, Error> {
        let query = if form.text().is_empty() { String::new() } else { format!("?{}", form.text()) };
        let asked = self.with_credential(Request::get(format!("{}{query}", self.server.api(path)))).send();
        answer::read(&self.server, asked.map_err(|error| self.unanswered(error))?)
    }

    /// The same by POST, since a query may be longer than a URL. Where the operator grants no POST that only reads, or the server
    /// takes none, it is asked by GET.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn post(&self, path: &str, form: &Form) -> Result<Data, Error> {
        let request = Request::post(self.server.api(path)).body(form.text()).no_redirects();
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        match self.with_credential(request).send() {
            Ok(response) if BY_GET.contains(&response.status) => self.get(path, form),
            Ok(response) => answer::read(&self.server, response),
            // The host's, since nobody answered; what is said of GET is what an operator would rather allow.
            Err(error) if error.code() == "denied" => self.get(path, form),
            Err(error) => Err(self.unanswered(error)),
        }
    }

    fn with_credential(&self, request: Request) -> Request {
        let left = Duration::from_millis(task::remaining_ms());
        let patience = left.saturating_sub(RESERVE).max(Duration::from_millis(1));
        let request = request.header("accept", "application/json").timeout(patience);
        match self.credential {
            Some(name) => request.credential(name),
            None => request,
        }
    }

    /// With what to do about it.
    fn unanswered(&self, error: Error) -> Error {
        let server = self.server.as_str();
        let less = "ask for less: fewer series, a shorter span or a longer step";
        match error.code() {
            "unavailable" => error.while_doing(format!(
                "Prometheus at {server} does not answer; see that it runs and that `url` is right, and try again"
            )),
            "timeout" => error.while_doing(format!(
                "Prometheus at {server} did not answer in time; {less}, or raise this plugin's `limits: {{wall: …}}` in the grants file"
            )),
            "too-large" => error.while_doing(format!("what Prometheus at {server} answers is too large; {less}")),
            // It says what would allow it.
            "denied" => error,
            _ => error.while_doing(format!("Prometheus at {server} could not be asked")),
        }
    }
}

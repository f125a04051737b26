//! What the guest asks for, as it is judged: once when it asks, and once more before it is sent.

use http::{HeaderName, Method, Request, Uri};

use crate::{
    grants::{
        Grant,
        http::{self as granted, Allowed},
    },
    http::Failure,
    plugin::standing::Standing,
};

/// Names a credential that the host puts in; it never leaves the host.
const CREDENTIAL: HeaderName = HeaderName::from_static("claiflow-credential");

pub(super) struct Asked {
    method: Method,
    url: Uri,
    credential: Option<String>,
}

impl Asked {
    /// Takes the credential's name out of the headers.
    pub(super) fn take<B>(request: &mut Request<B>) -> Result<Self, Failure> {
        let mut named = request.headers().get_all(CREDENTIAL).iter();
        let credential = match (named.next(), named.next()) {
            (None, _) => None,
            (Some(name), None) => Some(name.to_str().map_err(|_| wrong("names no credential"))?.trim().to_owned()),
            (Some(_), Some(_)) => return Err(wrong("is there twice; one credential goes with a request")),
        };
        request.headers_mut().remove(CREDENTIAL);
        Ok(Self { method: request.method().clone(), url: request.uri().clone(), credential })
    }

    /// The one decision, over the grants as they are now.
    pub(super) fn authorise(&self, standing: &Standing) -> Result<Allowed, Failure> {
        let caller = &standing.caller;
        let current = caller.surroundings.authority.current();
        let nothing = Grant::default();
        let grant = current.grant_of(&caller.plugin, &caller.digest).unwrap_or(&nothing);
        let request = granted::Request {
            plugin: &caller.plugin,
            method: self.method.as_str(),
            url: &self.url,
            credential: self.credential.as_deref(),
        };
        Ok(granted::authorise(grant, &request)?)
    }
}

fn wrong(what: &str) -> Failure {
    Failure::new("invalid", format!("`{CREDENTIAL}` {what}"))
}

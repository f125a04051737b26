//! One request and what it gave, as a cassette holds it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use http::{HeaderMap, HeaderName, header, request};
use serde::{Deserialize, Serialize};

use super::{Content, content::parameters};
use crate::{
    grants::http::{Allowed, Trust},
    tape::redact,
};

/// Headers of a request that say how it travels, or differ from one to the next.
const LEFT_OUT: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("traceparent"),
];
/// Where a credential goes when nothing else is said.
const CARRIER: &str = "authorization";

/// One request over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exchange {
    /// What was asked.
    pub request: Told,
    /// Who answered; none: nobody was connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// As `ca` says it in a grants file; none: public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The grant said that such a request changes nothing, though its method says otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reads: bool,
    /// What became of it.
    pub gave: Gave,
}

/// A request without secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Told {
    /// Upper-case.
    pub method: String,
    /// Scheme, host, port and path.
    pub url: String,
    /// What stands behind the `?`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, Vec<String>>,
    /// Those that the plugin set, by lower-case name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The name of the credential that went with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The header that carried it, where that is not `authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_header: Option<String>,
    /// What was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Content>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gave {
    /// A server answered.
    Answer(Answered),
    /// Nobody did.
    Failed(Failed),
}

/// An answer without secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Answered {
    /// Such as 200.
    pub status: u16,
    /// By lower-case name; what came several times has commas between.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// As far as the plugin read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Content>,
    /// What came in the place of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broke: Option<Failed>,
}

/// A request or an answer that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// As in `types.wit`.
    pub code: String,
    /// One sentence.
    pub message: String,
}

impl Told {
    /// Of a request as the plugin made it. What is taken out goes into `secrets`.
    pub(super) fn of(allowed: &Allowed, head: &request::Parts, body: &[u8], secrets: &mut BTreeSet<String>) -> Self {
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let credential = allowed.credential.as_ref();
        Self {
            method: allowed.method.to_owned(),
            url: format!("{}{}", allowed.entry.url, allowed.path),
            query: parameters(head.uri.query().unwrap_or_default(), secrets),
            headers: told(&head.headers, &LEFT_OUT, secrets),
            credential: credential.map(|credential| credential.name.clone()),
            credential_header: credential.and_then(|it| it.header.clone()).filter(|header| header != CARRIER),
            body: Content::of(body, kind, secrets),
        }
    }
}

/// Headers of a message, without secrets and without some.
pub(super) fn told(
    headers: &HeaderMap,
    left_out: &[HeaderName],
    secrets: &mut BTreeSet<String>,
) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| !left_out.contains(name)) {
        let said = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let said =
            if redact::is_secret_name(name.as_str()) { redact::secret(said, secrets) } else { redact::text(&said) };
        all.entry(name.as_str().to_owned()).and_modify(|all| *all = format!("{all}, {said}")).or_insert(said);
    }
    all
}

/// What `ca` says in a grants file, where it has to say something.
pub(super) fn authority(trust: &Trust) -> Option<String> {
    match trust {
        Trust::Public => None,
        Trust::Cluster => Some("cluster".to_owned()),
        Trust::File(path) => Some(path.clone()),
        Trust::Pem(text) => Some(text.clone()),
    }
}

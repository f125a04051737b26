//! JSON bodies: what cannot be read is told, and no key is passed over in silence.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::IntoResponse as _,
};
use parking_lot::Mutex;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use serde_path_to_error::Segment;

use super::{
    api_token::ApiTokenBody,
    cluster::ClusterBody,
    control::ResolveBody,
    fields::{fields, nearest, quoted},
    list::Page,
    problem::Problem,
    service::ServiceBody,
    template::{DryRun, TemplateBody},
    token::TokenBody,
    variable::VariableBody,
    webhook::WebhookBody,
};

/// A body comes within this time.
const COMES: Duration = Duration::from_secs(60);
/// Keys that a warning names at most.
const NAMED: usize = 8;

/// Asks a type for the names that it reads.
type Names = fn() -> &'static [&'static str];

/// Which keys say something, and where; a caller who uses one elsewhere meant something that would not happen.
const MEANINGS: [(&str, Names); 10] = [
    ("of `template`", fields::<TemplateBody>),
    ("of `service`", fields::<ServiceBody>),
    ("of `resolve`", fields::<ResolveBody>),
    ("of `cluster_token`", fields::<TokenBody>),
    ("of `cluster`", fields::<ClusterBody>),
    ("of `api_token`", fields::<ApiTokenBody>),
    ("of `global_variables`", fields::<VariableBody>),
    ("of `webhook`", fields::<WebhookBody>),
    ("a query parameter of POST /api/v1/template", fields::<DryRun>),
    ("a query parameter of lists", fields::<Page>),
];

/// What a body is for.
pub(super) trait Resource: DeserializeOwned {
    /// Whether other keys are passed over with a warning, as the first version did, or refused.
    const TOLERANT: bool = true;
}

/// A JSON object as body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: Resource> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let warnings = request.extensions().get::<Warnings>().cloned().unwrap_or_default();
        let bytes = tokio::time::timeout(COMES, Bytes::from_request(request, state)).await;
        let bytes = bytes.map_err(|_| Problem::slow(format!("a body comes within {} s", COMES.as_secs())))?;
        let bytes = bytes.map_err(unread)?;
        let text =
            str::from_utf8(&bytes).map_err(|error| Problem::malformed(format!("the body is not UTF-8: {error}")))?;
        claiflow_flow::refuse_embedded(text).map_err(unreadable)?;
        let KeysOf(names) = serde_json::from_str(text).map_err(unreadable)?;
        let known = fields::<T>();
        let unknown: Vec<String> = names.into_iter().filter(|name| !known.contains(&name.as_str())).collect();
        check::<T>(&unknown, known)?;
        let body = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(wrong)?;
        for name in unknown.iter().take(NAMED) {
            warnings.add(format!("the key {} is unknown and was passed over{}", quoted(name), hint(name, known)));
        }
        Ok(Self(body))
    }
}

/// Too long a body, as it came or after decompression, or one that broke off.
fn unread(rejection: BytesRejection) -> Problem {
    let detail = rejection.body_text();
    let causes = std::iter::successors(rejection.source(), |cause| (*cause).source());
    // Decompression wraps what the limit said.
    let is_over = causes.into_iter().any(|cause| cause.to_string().contains("length limit exceeded"));
    if is_over || rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::too_large(format!(
            "a body has at most {} bytes, as it comes and after decompression",
            super::BODY_BYTES
        ))
    } else {
        Problem::malformed(detail)
    }
}

fn unreadable(error: serde_json::Error) -> Problem {
    if is_too_deep(&error) {
        return Problem::malformed("the body is nested deeper than 127 levels".into());
    }
    Problem::malformed(format!("the body is not the JSON object that is expected: {error}"))
}

fn is_too_deep(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("recursion limit exceeded")
}

/// A value of another kind than its field holds; the field is named.
fn wrong(error: serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let name = |part: &Segment| match part {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } | Segment::Enum { variant: key } => Some(key.clone()),
        Segment::Unknown => None,
    };
    let at: Vec<String> = error.path().iter().filter_map(name).collect();
    let Some(field) = at.first().filter(|_| !is_too_deep(error.inner())) else { return unreadable(error.into_inner()) };
    let place: String = at.iter().map(|part| pointer(part)).collect();
    let detail = format!("{} cannot be read: {}", quoted(field), error.inner());
    Problem::malformed(detail.clone()).with([(place, detail)])
}

fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Refuses the keys that must not be passed over.
fn check<T: Resource>(unknown: &[String], known: &[&'static str]) -> Result<(), Problem> {
    let mut mistakes = Vec::new();
    for name in unknown {
        let meaning = MEANINGS.iter().find(|(_, names)| names().contains(&name.as_str()));
        if let Some((place, _)) = meaning {
            mistakes.push((name, format!("{} has no meaning here: it is {place}", quoted(name))));
        } else if !T::TOLERANT {
            mistakes.push((name, format!("the key {} is unknown{}", quoted(name), hint(name, known))));
        }
    }
    let Some((_, first)) = mistakes.first() else { return Ok(()) };
    let problem = Problem::malformed(first.clone());
    Err(problem.with(mistakes.into_iter().take(NAMED).map(|(name, detail)| (pointer(name), detail))))
}

fn hint(name: &str, known: &[&'static str]) -> String {
    nearest(name, known.iter().copied()).map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

/// The keys of an object.
struct KeysOf(Vec<String>);

impl<'de> Deserialize<'de> for KeysOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = KeysOf;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KeysOf, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            names.push(name);
        }
        Ok(KeysOf(names))
    }
}

/// What the caller should know beside the answer; travels with the request.
#[derive(Clone, Default)]
pub(super) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn add(&self, text: String) {
        self.0.lock().push(text);
    }

    /// Writes them as `Warning` headers.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        for text in self.0.lock().drain(..) {
            let plain = |c: char| if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' { c } else { '?' };
            let text: String = text.chars().map(plain).collect();
            headers
                .extend(HeaderValue::from_str(&format!("299 - \"{text}\"")).ok().map(|text| (header::WARNING, text)));
        }
    }
}

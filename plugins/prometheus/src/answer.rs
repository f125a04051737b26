//! What an answer means: the data, an error of Prometheus, or something that is no answer of Prometheus at all.

use claiflow_sdk::{Error, http::Response, log};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{data::Data, server::Server};

/// More of them are counted.
const WARNINGS_SHOWN: usize = 20;
const EXCERPT_CHARS: usize = 200;

/// The form of every answer of the API.
#[derive(Deserialize)]
struct Envelope<'a> {
    status: Status,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(default)]
    error: String,
    warnings: Option<Vec<String>>,
    infos: Option<Vec<String>>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Error,
}

/// The member `data`. Warnings of Prometheus go to the task's log.
///
/// # Errors
/// Of Prometheus: `invalid`, `timeout`, `unavailable`, `not-found` or `failed` with its `errorType` as `reason` and its text. Of
/// others: the code that the HTTP status stands for, and `failed` where the answer is no JSON of this form.
pub(crate) fn read(server: &Server, response: Response) -> Result<Data, Error> {
    let is_fine = (200..=299).contains(&response.status);
    let understood = match serde_json::from_slice::<Envelope<'_>>(&response.body) {
        Ok(envelope) if envelope.status == Status::Error => Some(Err(refused(&envelope, response.clone()))),
        Ok(Envelope { data, warnings, infos, .. }) if is_fine => {
            told("warns", &warnings.unwrap_or_default(), |line| log::warn(line, &[]));
            told("notes", &infos.unwrap_or_default(), |line| log::info(line, &[]));
            Some(Ok(Data::of(data)))
        }
        _ => None,
    };
    understood.unwrap_or_else(|| Err(strange(server, response)))
}

fn told(verb: &str, lines: &[String], write: impl Fn(String)) {
    lines.iter().take(WARNINGS_SHOWN).for_each(|line| write(format!("Prometheus {verb}: {line}")));
    if let Some(more) = lines.len().checked_sub(WARNINGS_SHOWN).filter(|more| *more > 0) {
        write(format!("Prometheus {verb} {more} times more"));
    }
}

/// An error in Prometheus's own words.
fn refused(envelope: &Envelope<'_>, response: Response) -> Error {
    let Envelope { error_type, error: text, .. } = envelope;
    let status = response.status;
    let by_status = response.checked().err();
    let code = match error_type.as_str() {
        "bad_data" => "invalid",
        "timeout" => "timeout",
        "canceled" | "unavailable" => "unavailable",
        "not_found" => "not-found",
        "execution" | "internal" => "failed",
        _ => by_status.as_ref().map_or("failed", |error| known(error.code())),
    };
    let kind = if error_type.is_empty() { "an error without a kind" } else { error_type };
    let error =
        Error::new(code, format!("Prometheus says {kind}: {text}")).detail("status", status).detail("reason", kind);
    retried(error, by_status.as_ref())
}

/// The codes that a status may stand for.
fn known(code: &str) -> &'static str {
    ["invalid", "denied", "not-found", "conflict", "gone", "timeout", "unavailable"]
        .into_iter()
        .find(|known| *known == code)
        .unwrap_or("failed")
}

fn retried(error: Error, by_status: Option<&Error>) -> Error {
    match by_status.and_then(Error::retry_after) {
        Some(after) => error.retry_after_ms(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        None => error,
    }
}

/// Something answered that is not Prometheus, or does not let one through to it.
fn strange(server: &Server, response: Response) -> Error {
    let (server, status) = (server.as_str(), response.status);
    // What stands behind `?` is the form, or what a redirection added, which may be secret.
    let url = response.url.split('?').next().unwrap_or_default().to_owned();
    let kind =
        response.header("content-type").and_then(|kind| kind.split(';').next()).unwrap_or("no content type").to_owned();
    let excerpt = excerpt(&kind, &response.body);
    let Err(by_status) = response.checked() else {
        let message = format!(
            "{url} answers, but not as Prometheus does ({status}, {kind}){excerpt}; `url` may lead to a page or a login \
             before it instead of Prometheus at {server}"
        );
        return Error::failed(message).detail("status", status);
    };
    let what = match status {
        300..=399 => "it sends on to another place; give that place as `url`",
        401 | 403 => "it wants to know who asks; name a granted credential that it accepts in `credential`",
        404 => "there is no Prometheus API under that path; see that `url` has the right path prefix",
        413 | 414 | 431 => "the question is too long for it; ask with a shorter expression or fewer selectors",
        429 => "it is asked too often; try again later",
        502..=504 => "Prometheus is behind it and does not answer now; try again later",
        _ => "look at its log, or at that of what stands before Prometheus",
    };
    let error = Error::new(known(by_status.code()), format!("{url} answers with {status}{excerpt}: {what}"));
    retried(error.detail("status", status), Some(&by_status))
}

/// The beginning of what somebody wrote for people; nothing of a page.
fn excerpt(kind: &str, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || kind.ends_with("html") || text.starts_with('<') || text.contains('\u{fffd}') {
        return String::new();
    }
    let shown: String = text.chars().filter(|character| !character.is_control()).take(EXCERPT_CHARS).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!(", saying `{shown}{more}`")
}

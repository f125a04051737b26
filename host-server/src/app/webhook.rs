//! Webhooks: declared, changed, deleted, asked to send, and what became of what was sent.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use claiflow_flow_worker::Fault;

use super::{
    App, Error,
    text::{name, required, required_name, summary, unchanged},
};
use crate::model::{
    duration,
    ids::{hex, lookup, uuid_text},
    list::Listing,
    webhook::{Delivery, DeliveryListing, JQ, Webhook},
};

const URL_BYTES: usize = 8_192;
const METHOD_CHARACTERS: usize = 32;
/// All headers of a webhook together.
const HEADERS_BYTES: usize = 16 << 10;
const HEADERS: usize = 64;
const FILTER_BYTES: usize = 16 << 10;
/// The longest time for one attempt.
const TIMEOUT_MOST: Duration = Duration::from_secs(600);
/// The one in use and the one before, or the next.
const SECRETS: usize = 2;
/// What a secret begins with, in the form that Standard Webhooks gives it.
pub const SECRET_PREFIX: &str = "whsec_";
/// A secret's own bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// A published document at most, as JSON text.
const DOCUMENT_BYTES: usize = 1 << 20;
/// What says whose message it is and how it travels, in lower case: no webhook sets it.
const OWN_HEADERS: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What says which message it is and who signed it.
const OWN_PREFIX: &str = "webhook-";

/// Names with their values.
pub type Headers = BTreeMap<String, Vec<String>>;

/// What a caller says about a webhook.
#[derive(Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Declare {
    pub uuid: Option<String>,
    pub name: Option<String>,
    pub summary: Option<String>,
    pub url: Option<String>,
    pub method: Option<String>,
    pub headers: Option<Headers>,
    pub timeout: Option<String>,
    pub validator: Option<String>,
    pub filter: Option<String>,
    pub secrets: Option<Vec<String>>,
}

/// Whether a webhook may not say a header, whose name is given in lower case.
#[must_use]
pub fn is_own_header(name: &str) -> bool {
    OWN_HEADERS.contains(&name) || name.starts_with(OWN_PREFIX)
}

/// The bytes behind a secret's text.
#[must_use]
pub fn secret_bytes(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok()?;
    SECRET_BYTES.contains(&bytes.len()).then_some(bytes)
}

fn invalid(detail: &str, errors: Vec<(String, String)>) -> Error {
    Error::Invalid { detail: detail.into(), errors }
}

fn url(given: Option<String>) -> Result<Option<String>, Error> {
    let given = given.filter(|url| !url.is_empty());
    if given.as_ref().is_some_and(|url| url.len() > URL_BYTES) {
        return Err(Error::Malformed(format!("`url` has at most {URL_BYTES} bytes")));
    }
    Ok(given)
}

fn method(given: Option<String>) -> Result<Option<String>, Error> {
    let Some(given) = given.filter(|method| !method.is_empty()) else { return Ok(None) };
    let method = given.to_ascii_uppercase();
    let is_word = method.len() <= METHOD_CHARACTERS && http::Method::from_bytes(method.as_bytes()).is_ok();
    if !is_word || matches!(method.as_str(), "CONNECT" | "TRACE") {
        return Err(Error::Malformed(
            "`method` is a method of HTTP that carries a body, such as POST; CONNECT and TRACE do not".into(),
        ));
    }
    Ok(Some(method))
}

/// Headers as they are stored, if given; none of them is the server's own.
fn headers(given: Option<Headers>) -> Result<Option<String>, Error> {
    let Some(given) = given else { return Ok(None) };
    let bytes: usize =
        given.iter().flat_map(|(name, values)| values.iter().map(|value| name.len() + value.len())).sum();
    let count: usize = given.values().map(Vec::len).sum();
    if count > HEADERS || bytes > HEADERS_BYTES {
        return Err(Error::Malformed(format!(
            "`headers` holds at most {HEADERS} values of together {HEADERS_BYTES} bytes"
        )));
    }
    let mut errors = Vec::new();
    for (name, values) in &given {
        let at = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            errors.push((at, "this is no name of a header; write it as `X-Name`".into()));
        } else if is_own_header(&name.to_ascii_lowercase()) {
            errors.push((at, "the server itself says this header; leave it out".into()));
        } else if values.iter().any(|value| http::HeaderValue::from_str(value).is_err()) {
            errors.push((at, "a value holds a character that no header can hold, such as a line's end".into()));
        }
    }
    if !errors.is_empty() {
        return Err(invalid("the headers cannot be sent", errors));
    }
    Ok(Some(serde_json::to_string(&given).unwrap_or_default()))
}

fn timeout(given: Option<String>) -> Result<Option<String>, Error> {
    let Some(text) = given.filter(|text| !text.is_empty()) else { return Ok(None) };
    let timeout = duration::parse(&text).map_err(|message| Error::Malformed(format!("`timeout`: {message}")))?;
    if timeout > TIMEOUT_MOST {
        return Err(Error::Malformed(format!("`timeout` is at most {}", duration::text(TIMEOUT_MOST))));
    }
    Ok(Some(duration::text(timeout)))
}

/// A validator that is not known validates nothing.
fn validator(given: Option<String>) -> Option<String> {
    given.map(|word| if word.eq_ignore_ascii_case(JQ) { JQ.into() } else { "none".into() })
}

fn secrets(given: Option<Vec<String>>) -> Result<Option<String>, Error> {
    let Some(given) = given else { return Ok(None) };
    if given.len() > SECRETS {
        return Err(Error::Malformed(format!(
            "`secrets` holds at most {SECRETS}: the one in use, and another while receivers change over"
        )));
    }
    // The place is named, and nothing of what stands there.
    let is_wrong = |(_, text): &(usize, &String)| secret_bytes(text).is_none();
    let errors: Vec<_> = given
        .iter()
        .enumerate()
        .filter(is_wrong)
        .map(|(index, _)| {
            let (least, most) = (SECRET_BYTES.start(), SECRET_BYTES.end());
            let what = format!("a secret is `{SECRET_PREFIX}` and the base64 of {least} to {most} bytes");
            (format!("/secrets/{index}"), what)
        })
        .collect();
    if errors.is_empty() {
        Ok(Some(serde_json::to_string(&given).unwrap_or_default()))
    } else {
        Err(invalid("a secret is not written as it should be", errors))
    }
}

fn filter(given: Option<String>) -> Result<Option<String>, Error> {
    if given.as_ref().is_some_and(|filter| filter.len() > FILTER_BYTES) {
        return Err(Error::Malformed(format!("`conditionFilter` has at most {FILTER_BYTES} bytes")));
    }
    Ok(given)
}

fn same(found: &Webhook, row: &Webhook) -> bool {
    let shown = |webhook: &Webhook| {
        let Webhook { name, summary, url, method, headers, timeout, condition_validator, condition_filter, .. } =
            webhook.clone();
        (name, summary, url, method, headers, timeout, condition_validator, condition_filter)
    };
    shown(found) == shown(row) && found.secrets == row.secrets
}

impl App {
    /// Declares a webhook; the same again answers as the first time.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Invalid`] with a pointer to the filter, header or secret, [`Error::Conflict`].
    pub async fn declare_webhook(&self, new: Declare) -> Result<Webhook, Error> {
        let uuid = match &new.uuid {
            Some(uuid) => uuid_text("uuid", uuid).map_err(Error::Malformed)?,
            None => hex(&self.source.id()),
        };
        let now = self.source.now_us();
        let row = Webhook {
            id: 0,
            uuid,
            name: required_name(new.name)?,
            summary: summary(new.summary)?,
            url: required("url", url(new.url)?)?,
            method: required("method", method(new.method)?)?,
            headers: headers(new.headers)?,
            timeout: timeout(new.timeout)?.unwrap_or_else(|| duration::text(Duration::ZERO)),
            condition_validator: validator(new.validator),
            condition_filter: filter(new.filter)?,
            secrets: secrets(new.secrets)?,
            created: now,
            updated: now,
        };
        self.check_filter(&row).await?;
        if let Some(found) = self.store.webhook(&row.uuid).await? {
            return if same(&found, &row) {
                Ok(found)
            } else {
                Err(Error::Conflict(format!("webhook `{}` exists with other content; PUT changes it", row.uuid)))
            };
        }
        self.store.insert_webhook(&row).await?;
        Ok(row)
    }

    async fn check_filter(&self, row: &Webhook) -> Result<(), Error> {
        let Some(filter) = row.filter() else { return Ok(()) };
        self.jq.check(filter, &[]).await.map_err(|fault| match fault {
            Fault::Expression(message) => invalid("the filter is not jq", vec![("/conditionFilter".into(), message)]),
            Fault::Evaluator(message) => Error::unchecked(&message),
        })
    }

    /// One webhook.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn webhook(&self, uuid: &str) -> Result<Webhook, Error> {
        self.store.webhook(&lookup(uuid)).await?.ok_or_else(|| {
            Error::NotFound(format!("there is no webhook `{uuid}`; GET /api/v1/webhook lists those that are declared"))
        })
    }

    /// Webhooks in the order of their declaration.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn webhooks(&self, listing: &Listing<i64>) -> Result<Vec<Webhook>, Error> {
        Ok(self.store.webhooks(listing).await?)
    }

    /// Changes what is given. What waits to be sent is sent as the webhook says then.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Malformed`], [`Error::Invalid`].
    pub async fn change_webhook(&self, uuid: &str, change: Declare) -> Result<Webhook, Error> {
        let mut row = self.webhook(uuid).await?;
        unchanged("uuid", &row.uuid, change.uuid.as_deref())?;
        row.name = name(change.name)?.unwrap_or(row.name);
        row.summary = summary(change.summary)?.or(row.summary);
        row.url = url(change.url)?.unwrap_or(row.url);
        row.method = method(change.method)?.unwrap_or(row.method);
        row.headers = headers(change.headers)?.or(row.headers);
        row.timeout = timeout(change.timeout)?.unwrap_or(row.timeout);
        row.condition_validator = validator(change.validator).or(row.condition_validator);
        row.condition_filter = filter(change.filter)?.or(row.condition_filter);
        row.secrets = secrets(change.secrets)?.or(row.secrets);
        row.updated = self.source.now_us();
        self.check_filter(&row).await?;
        self.store.update_webhook(&row).await?;
        Ok(row)
    }

    /// Removes a webhook with what waited to be sent to it. Unknown ones are no error.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn delete_webhook(&self, uuid: &str) -> Result<(), Error> {
        Ok(self.store.delete_webhook(&lookup(uuid)).await?)
    }

    /// Sends a document, JSON text, on the way that statuses of tasks take: it is stored when this returns.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Malformed`] where it is too large.
    pub async fn publish(&self, uuid: &str, document: &str) -> Result<(), Error> {
        if document.len() > DOCUMENT_BYTES {
            return Err(Error::Malformed(format!("a document has at most {DOCUMENT_BYTES} bytes")));
        }
        let webhook = self.webhook(uuid).await?;
        Ok(self.store.publish(&webhook.uuid, self.source.id(), document).await?)
    }

    /// A page of what was sent to a webhook, or will be.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn deliveries(&self, uuid: &str, listing: &DeliveryListing) -> Result<Vec<Delivery>, Error> {
        let webhook = self.webhook(uuid).await?;
        Ok(self.store.deliveries(&webhook.uuid, listing).await?)
    }

    /// Sends a delivery again under its id, whatever became of it, with all its attempts before it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn replay_delivery(&self, uuid: &str, id: i64) -> Result<Delivery, Error> {
        let missing = || Error::NotFound(format!("there is no delivery {id} of webhook `{uuid}`"));
        let webhook = self.webhook(uuid).await?;
        self.store.delivery(&webhook.uuid, id).await?.ok_or_else(missing)?;
        self.store.replay(&webhook.uuid, id).await?;
        self.store.delivery(&webhook.uuid, id).await?.ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::{Headers, headers, method, secrets, timeout, validator};

    #[test]
    fn a_method_is_a_word_in_capitals() {
        for (given, expected) in [("post", Some("POST")), ("PUT", Some("PUT")), ("", None)] {
            assert_eq!(method(Some(given.into())).unwrap().as_deref(), expected, "{given}");
        }
        for given in ["GET /", "connect", "trace", "a\nb", "é", &"x".repeat(33)] {
            assert!(method(Some(given.into())).is_err(), "{given}");
        }
    }

    #[test]
    fn a_timeout_is_shown_as_go_prints_it() {
        for (given, expected) in [("90s", "1m30s"), ("0", "0s"), ("1.5s", "1.5s"), ("1500ms", "1.5s"), ("10m", "10m0s")]
        {
            assert_eq!(timeout(Some(given.into())).unwrap().as_deref(), Some(expected), "{given}");
        }
        for given in ["-1s", "11m", "soon"] {
            assert!(timeout(Some(given.into())).is_err(), "{given}");
        }
    }

    #[test]
    fn what_the_server_says_itself_no_webhook_says() {
        let one = |name: &str, value: &str| Some(Headers::from([(name.to_owned(), vec![value.to_owned()])]));
        assert_eq!(headers(one("X-A", "1")).unwrap().as_deref(), Some(r#"{"X-A":["1"]}"#));
        for (name, value) in [
            ("Host", "x"),
            ("content-LENGTH", "1"),
            ("Webhook-Signature", "v1,x"),
            ("Transfer-Encoding", "chunked"),
            ("X A", "1"),
            ("", "1"),
            ("X-A", "1\r\nX-B: 2"),
            ("X-A", "\0"),
        ] {
            assert!(headers(one(name, value)).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn a_secret_is_not_repeated_in_its_refusal() {
        let good = format!("whsec_{}", "A".repeat(32));
        assert!(secrets(Some(vec![good.clone(), good.clone()])).is_ok());
        assert!(secrets(Some(vec![good.clone(), good.clone(), good])).is_err());
        for wrong in ["hunter2", "whsec_hunter2", "whsec_aHVudGVyMg=="] {
            let error = secrets(Some(vec![wrong.into()])).unwrap_err();
            let said = format!("{error:?}");
            assert!(said.contains("/secrets/0") && !said.contains(wrong), "{said}");
        }
    }

    #[test]
    fn a_validator_that_is_unknown_validates_nothing() {
        for (given, expected) in [("jq", "jq"), ("JQ", "jq"), ("xpath", "none"), ("", "none")] {
            assert_eq!(validator(Some(given.into())).as_deref(), Some(expected), "{given}");
        }
        assert_eq!(validator(None), None);
    }
}

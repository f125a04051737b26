//! Log lines and traces: `logger.*` and `telemetry.otlp.*`, below them the variables that OpenTelemetry made a standard.

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::{Error, keys::Settings};
use crate::telemetry::{self, Format, Otlp};

const ENDPOINT: &str = "telemetry.otlp.endpoint";
const HEADERS: &str = "telemetry.otlp.headers";
const RATIO: &str = "telemetry.otlp.sampleRatio";
/// Standard variables and the keys that they stand for where nobody set these; the first that is set counts.
const STANDARD: [(&str, &str); 2] =
    [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ENDPOINT), ("OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT)];
/// The one protocol that is spoken.
const PROTOCOL: &str = "grpc";

/// Takes the standard variables, which count last. What they say of headers is read where spans are exported.
///
/// # Errors
/// [`Error::Value`] where they ask for another protocol than gRPC.
pub(super) fn standard(settings: &mut Settings, variables: &[(String, String)]) -> Result<(), Error> {
    let given = |name: &str| variables.iter().find(|(known, text)| known == name && !text.is_empty());
    for (name, key) in STANDARD {
        if let Some((_, text)) = given(name) {
            settings.offer(key, text.clone());
        }
    }
    for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        if let (Some((_, text)), Some(_)) = (given(name).filter(|(_, text)| text != PROTOCOL), settings.get(ENDPOINT)) {
            return Err(Error::value(
                name,
                format!("`{text}` is not spoken, only `{PROTOCOL}`: a collector's port 4317"),
            ));
        }
    }
    Ok(())
}

/// # Errors
/// [`Error::Value`].
pub(super) fn read(settings: &Settings) -> Result<telemetry::Settings, Error> {
    Ok(telemetry::Settings { filter: filter(settings)?, format: format(settings)?, otlp: otlp(settings)? })
}

/// `logger.level` is a filter; `logger.verbose` is the former way to say the same: true, or a number above 0, is `debug`.
fn filter(settings: &Settings) -> Result<String, Error> {
    let verbose = match settings.get("logger.verbose") {
        Some(text) if text.parse::<u64>().is_err() => settings.flag("logger.verbose")?,
        Some(number) => number != "0",
        None => false,
    };
    Ok(settings.text("logger.level", if verbose { "debug" } else { "info" }))
}

fn format(settings: &Settings) -> Result<Format, Error> {
    match settings.text("logger.format", "text").as_str() {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        other => Err(Error::value("logger.format", format!("`{other}` is not one of text, json"))),
    }
}

fn otlp(settings: &Settings) -> Result<Option<Otlp>, Error> {
    let (headers, sample_ratio) = (headers(settings.get(HEADERS).unwrap_or_default())?, ratio(settings.get(RATIO))?);
    let Some(endpoint) = settings.get(ENDPOINT) else { return Ok(None) };
    let uri = endpoint.parse::<Uri>().ok();
    // A name and a password in it would stand in log lines.
    let is_right = |uri: &Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    };
    if !uri.as_ref().is_some_and(is_right) {
        let message = "expected the address of a collector that speaks OTLP over gRPC, such as http://collector:4317";
        return Err(Error::value(ENDPOINT, message));
    }
    Ok(Some(Otlp { endpoint: endpoint.to_owned(), headers, sample_ratio }))
}

/// `name=value,name=value`. A message never holds a value: it may be a credential.
fn headers(text: &str) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (index, pair) in text.split(',').filter(|pair| !pair.trim().is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let read = (HeaderName::try_from(name.trim()), HeaderValue::try_from(value.trim()));
        let (Ok(name), Ok(mut value), true) = (read.0, read.1, pair.contains('=')) else {
            let message = format!("entry {} is not `name=value`; several are separated by commas", index + 1);
            return Err(Error::value(HEADERS, message));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn ratio(text: Option<&str>) -> Result<f64, Error> {
    let Some(text) = text else { return Ok(1.0) };
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(Error::value(RATIO, format!("`{text}` is not a number from 0 to 1"))),
    }
}

#[cfg(test)]
mod tests;

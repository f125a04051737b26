//! Log lines and traces.

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::telemetry::{Format, Otlp};

/// The variables that OpenTelemetry made a standard, in the order in which they count.
const STANDARD: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// How the agent tells what it does.
#[derive(Args, Clone, Default)]
pub struct Telemetry {
    /// Log lines for people, or one JSON object a line for collectors.
    #[arg(long, env = "CLAIFLOW_LOG_FORMAT", value_enum, default_value = "text", value_name = "text|json")]
    pub log_format: Format,
    /// Send traces to this collector, which speaks OTLP over gRPC, such as http://collector:4317. Without it,
    /// OTEL_EXPORTER_OTLP_ENDPOINT counts; without both nothing is traced.
    #[arg(long, env = "CLAIFLOW_OTLP_ENDPOINT", value_name = "URL", value_parser = endpoint)]
    pub otlp_endpoint: Option<String>,
    /// Sent with each export, NAME=VALUE, several separated by commas; better given as a variable.
    #[arg(long, env = "CLAIFLOW_OTLP_HEADERS", hide_env_values = true, value_name = "NAME=VALUE", value_parser = headers)]
    pub otlp_headers: Option<HeaderMap>,
    /// The part of the runs that are traced, from 0 to 1, where the server does not say whether it traces.
    #[arg(long, env = "CLAIFLOW_OTLP_SAMPLE_RATIO", value_name = "RATIO", default_value = "1", value_parser = ratio)]
    pub otlp_sample_ratio: f64,
}

impl Telemetry {
    /// Where spans go; `variable` reads one of the environment.
    ///
    /// # Errors
    /// A standard variable asks for what is not spoken.
    pub fn otlp(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Otlp>, String> {
        let given = |name: &&'static str| variable(name).filter(|text| !text.is_empty()).map(|text| (*name, text));
        let endpoint = match (&self.otlp_endpoint, STANDARD.iter().find_map(given)) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Some((name, text))) => endpoint(&text).map_err(|message| format!("{name}: {message}"))?,
            (None, None) => return Ok(None),
        };
        if let Some((name, text)) = PROTOCOLS.iter().find_map(given).filter(|(_, text)| text != "grpc") {
            return Err(format!("{name}: `{text}` is not spoken, only `grpc`: a collector's port 4317"));
        }
        let headers = self.otlp_headers.clone().unwrap_or_default();
        Ok(Some(Otlp { endpoint, headers, sample_ratio: self.otlp_sample_ratio }))
    }
}

fn endpoint(text: &str) -> Result<String, String> {
    let uri = text.parse::<Uri>().ok();
    // A name and a password in it would stand in log lines.
    let is_right = |uri: &Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    };
    if uri.as_ref().is_some_and(is_right) {
        return Ok(text.to_owned());
    }
    Err("expected the address of a collector that speaks OTLP over gRPC, such as http://collector:4317".into())
}

/// A message never holds a value: it may be a credential.
fn headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (index, pair) in text.split(',').filter(|pair| !pair.trim().is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let read = (HeaderName::try_from(name.trim()), HeaderValue::try_from(value.trim()));
        let (Ok(name), Ok(mut value), true) = (read.0, read.1, pair.contains('=')) else {
            return Err(format!("entry {} is not NAME=VALUE; several are separated by commas", index + 1));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("expected a number from 0 to 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Telemetry, endpoint, headers, ratio};

    fn otlp(own: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let telemetry = Telemetry { otlp_endpoint: own.map(str::to_owned), ..Telemetry::default() };
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        Ok(telemetry.otlp(variable)?.map(|otlp| otlp.endpoint))
    }

    #[test]
    fn nothing_is_traced_unless_a_collector_is_named_and_standard_variables_count_last() {
        let standard = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://standard:4317");
        assert_eq!(otlp(None, &[]), Ok(None));
        assert_eq!(otlp(None, &[standard]), Ok(Some("http://standard:4317".into())));
        assert_eq!(otlp(Some("http://own:4317"), &[standard]), Ok(Some("http://own:4317".into())));
        let http = [standard, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
        assert!(otlp(None, &http).unwrap_err().contains("`grpc`"));
        assert!(otlp(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317")]).unwrap_err().contains("OTEL_EXPORTER"));
    }

    #[test]
    fn wrong_values_are_refused_and_no_header_is_shown() {
        assert!(endpoint("http://u:hunter2@c").is_err_and(|error| !error.contains("hunter2")));
        assert!(headers("a=b,hunter2").is_err_and(|error| error.contains("entry 2") && !error.contains("hunter2")));
        assert!(!format!("{:?}", headers("authorization=hunter2").unwrap()).contains("hunter2"));
        assert!(["-1", "1.5", "x", "NaN"].into_iter().all(|text| ratio(text).is_err()));
    }
}

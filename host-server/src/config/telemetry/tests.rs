use super::super::{Arguments, Config};
use crate::telemetry::Format;

fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(&Arguments::default(), variables).map_err(|error| error.to_string())
}

#[test]
fn nothing_is_traced_unless_a_collector_is_named_and_standard_variables_count_last() {
    assert!(read(&[]).unwrap().telemetry.otlp.is_none());
    let standard = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://standard:4317");
    let own = ("CLAIFLOW_TELEMETRY_OTLP_ENDPOINT", "https://own:4317");
    for (variables, endpoint) in [
        (&[standard][..], "http://standard:4317"),
        (&[own, standard], "https://own:4317"),
        (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317"), standard], "http://traces:4317"),
    ] {
        let otlp = read(variables).unwrap().telemetry.otlp.unwrap();
        assert_eq!((otlp.endpoint.as_str(), otlp.sample_ratio), (endpoint, 1.0));
    }
    assert_eq!(read(&[("CLAIFLOW_LOGGER_FORMAT", "json")]).unwrap().telemetry.format, Format::Json);
}

#[test]
fn a_wrong_value_is_refused_by_its_key_and_no_header_is_shown() {
    let endpoint = ("CLAIFLOW_TELEMETRY_OTLP_ENDPOINT", "http://c:4317");
    for (variables, parts) in [
        (&[("CLAIFLOW_TELEMETRY_OTLP_ENDPOINT", "collector:4317")][..], &["`telemetry.otlp.endpoint`", "http://"][..]),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hunter2@c")], &["`telemetry.otlp.endpoint`"]),
        (&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], &["OTEL_EXPORTER_OTLP_PROTOCOL", "`grpc`"]),
        (&[endpoint, ("CLAIFLOW_TELEMETRY_OTLP_SAMPLERATIO", "2")], &["`telemetry.otlp.sampleRatio`", "0 to 1"]),
        (&[endpoint, ("CLAIFLOW_TELEMETRY_OTLP_HEADERS", "a=b,hunter2")], &["`telemetry.otlp.headers`", "entry 2"]),
        (&[("CLAIFLOW_LOGGER_FORMAT", "xml")], &["`logger.format`", "text, json"]),
    ] {
        let error = read(variables).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)) && !error.contains("hunter2"), "{variables:?}: {error}");
    }
    let config = read(&[endpoint, ("CLAIFLOW_TELEMETRY_OTLP_HEADERS", "authorization=Bearer hunter2")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

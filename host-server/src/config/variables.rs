//! Environment variables: `CLAIFLOW_HTTP_PORT` is `http.port`.

use super::{
    Error,
    keys::{KEYS, Settings, unknown},
};

const PREFIX: &str = "CLAIFLOW_";
/// Variables of the first version; they are not read, and said to be.
const FORMER_PREFIX: &str = "CONFIGOR_";
/// Names of the agent and of tests share the prefix.
const OF_OTHERS: [&str; 18] = [
    "SERVER_URL",
    "TLS_CA",
    "TLS_CERT",
    "TLS_KEY",
    "TLS_SERVER_NAME",
    "CLUSTER_UUID",
    "TOKEN",
    "PLUGINS",
    "GRANTS",
    "SLOTS",
    "STATE",
    "CACHE",
    "HEALTH",
    "STRICT",
    "LOG_FORMAT",
    "OTLP_ENDPOINT",
    "OTLP_HEADERS",
    "OTLP_SAMPLE_RATIO",
];

/// Takes the variables that are ours; answers what the operator should know.
///
/// # Errors
/// [`Error::Unknown`] with the nearest known name.
pub(super) fn read(
    settings: &mut Settings,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    for (name, value) in variables {
        if let Some(rest) = name.strip_prefix(FORMER_PREFIX) {
            let named = key(rest).map_or_else(|| format!("{PREFIX}{rest}"), spelled);
            notes.push(format!("the variable {name} is not read; set {named} instead"));
        }
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if is_of_others(rest) || is_service_link(rest, &value) {
            continue;
        }
        let key = key(rest).ok_or_else(|| unknown("the environment", &name, spelled))?;
        settings.offer(key, value);
    }
    Ok(notes)
}

/// The key behind `HTTP_URLPREFIX`.
fn key(rest: &str) -> Option<&'static str> {
    KEYS.iter().find(|key| key.replace('.', "_").eq_ignore_ascii_case(rest)).copied()
}

/// The variable of a key.
fn spelled(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn is_of_others(rest: &str) -> bool {
    OF_OTHERS.contains(&rest) || rest.starts_with("TEST_")
}

/// Kubernetes gives each pod variables for each Service of its namespace, `claiflow-service` included.
fn is_service_link(rest: &str, value: &str) -> bool {
    let port = rest.split_once("_PORT_").and_then(|(_, rest)| rest.bytes().next());
    rest.ends_with("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || port.is_some_and(|digit| digit.is_ascii_digit())
        || ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

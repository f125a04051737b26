//! What Helm complains about, with what a person can do.

use claiflow_sdk::{
    Error,
    process::{End, Ended},
    task,
};

const SAID_MAX_CHARS: usize = 1_500;

/// What a run is about, as far as it helps whoever reads of its failure.
#[derive(Default)]
pub(crate) struct About<'a> {
    pub(crate) release: Option<(&'a str, &'a str)>,
    pub(crate) timeout_s: Option<u32>,
}

impl<'a> About<'a> {
    pub(crate) fn release(name: &'a str, namespace: &'a str) -> Self {
        Self { release: Some((name, namespace)), timeout_s: None }
    }
}

/// In the order in which they count: what Helm says, the code, and the advice.
const CASES: [(&[&str], &str, &str); 15] = [
    (
        &["x509:", "certificate signed by", "tls: "],
        "failed",
        "the server's certificate is not trusted here: check the address, or put its CA among those that the agent's image trusts",
    ),
    (&["release: not found"], "not-found", "there is no such release: `helm.list` shows those that there are"),
    (&["has no deployed releases"], "not-found", "the release was never deployed: `helm.install` installs it"),
    (
        &["cannot reuse a name that is still in use", "cannot re-use a name that is still in use"],
        "exists",
        "there is a release of that name: `helm.upgrade` changes it, `helm.uninstall` removes it",
    ),
    (
        &["another operation (install/upgrade/rollback) is in progress"],
        "conflict",
        "somebody else changes the release: try again when that has ended; `helm.rollback` takes back what nobody works on any more",
    ),
    (&["no cached repo found"], "not-found", "the repository's index was never fetched: `helm.repo_update` fetches it"),
    (
        &["no chart name found", "no chart version found", " not found in http", "not found in oci", ": not found"],
        "not-found",
        "there is no such chart, or not in that version: check `chart_name`, `chart_version` and the repository, and `helm.repo_update` \
         its index",
    ),
    (&["release has no "], "not-found", "there is no such revision: `helm.history` shows those that there are"),
    (
        &["401 Unauthorized", "status code 401", "403 Forbidden", "status code 403"],
        "denied",
        "the repository wants to know who asks: name a `credential` that the grants file gives this plugin for that host",
    ),
    (
        &["is forbidden: ", "cannot get resource", "cannot create resource", "cannot list resource"],
        "denied",
        "the plugin's account may not do that in the cluster: give it a role for what the chart needs; `claiflow-agent inspect FILE --rbac` \
         tells which account it is",
    ),
    (
        &["timed out", "context deadline exceeded", "timeout waiting", "would exceed context deadline"],
        "timeout",
        "it was not ready in time: look at its pods, or give it a longer `timeout`",
    ),
    (
        &["values don't meet the specifications", "cannot unmarshal", "error converting YAML", "error unmarshaling"],
        "invalid",
        "`values` do not fit the chart: they are an object, with what the chart's `values.yaml` has",
    ),
    (
        &["no such host", "connection refused", "i/o timeout", "no route to host"],
        "unavailable",
        "the server does not answer: check the address, and that the agent's network policy lets it through",
    ),
    (
        &["looks like", "is not a valid chart repository", "cannot be reached"],
        "failed",
        "there is no chart repository at that address: it must hold an `index.yaml`",
    ),
    (
        &["execution error at", "parse error at", "template: "],
        "invalid",
        "the chart cannot be rendered with these `values`",
    ),
];

/// The failure of a program that did not end well.
pub(crate) fn explained(ended: &Ended, about: &About<'_>) -> Error {
    let said = said(ended);
    if let End::Signal(signal) = ended.end {
        let (code, why) = match task::stop_requested() {
            Some(reason) => ("stopped", format!("asked to stop: {reason}")),
            None => ("failed", format!("ended by signal {signal}")),
        };
        return Error::new(code, format!("Helm was {why}{}", quoted(&said)));
    }
    let found = CASES.iter().find(|(phrases, ..)| phrases.iter().any(|phrase| said.contains(phrase)));
    let (code, advice) = found.map_or(("failed", "Helm failed"), |(_, code, advice)| (*code, *advice));
    let place = match about.release {
        Some((name, namespace)) => format!("release `{name}` in namespace `{namespace}`: "),
        None => String::new(),
    };
    let waited = match about.timeout_s.filter(|_| code == "timeout") {
        Some(seconds) => format!(" (it was {seconds} s)"),
        None => String::new(),
    };
    Error::new(code, format!("{place}{advice}{waited}{}", quoted(&said)))
}

/// What it says of its failure: from its own word for it on, or all. `helm repo update` says why on its standard output.
fn said(ended: &Ended) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (stdout, stderr) = (text(&ended.stdout), text(&ended.stderr));
    let unable = stdout.find("...Unable").and_then(|at| stdout.get(at..));
    let error = stderr.rfind("Error: ").and_then(|at| stderr.get(at + "Error: ".len()..)).unwrap_or(&stderr);
    let reasons = stderr.find("...Unable").and_then(|at| stderr.get(at..)).filter(|_| unable.is_none());
    unable.or(reasons).unwrap_or(error).to_owned()
}

fn quoted(said: &str) -> String {
    if said.is_empty() {
        return String::new();
    }
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SAID_MAX_CHARS) {
        Some((end, _)) => format!("; Helm says: {}…", line.get(..end).unwrap_or_default()),
        None => format!("; Helm says: {line}"),
    }
}

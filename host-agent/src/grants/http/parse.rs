//! Entries for HTTP, from YAML. What could only be a misunderstanding is a mistake.

use serde_yaml_ng::Value;

use super::{Addresses, CredentialGrant, HttpGrant, METHODS, Network, Origin, Trust, address, carrier};
use crate::grants::{
    Glob,
    fields::{Report, Section},
};

const PEM_BEGINS: &str = "-----BEGIN CERTIFICATE-----";

/// One entry under `http`.
pub(in crate::grants) fn entry(report: &mut Report, value: &Value, at: &str) -> Option<HttpGrant> {
    let section = report.section(value, at, &["url", "methods", "paths", "reads", "addresses", "ca"]);
    let url = match section.get("url") {
        Some((value, at)) => origin(report, value, at),
        None => {
            report.add(at, "needs `url`: scheme, host and port");
            None
        }
    };
    let methods = methods(report, &section);
    let paths = section.get("paths").map(|(value, at)| paths(report, value, at)).unwrap_or_default();
    let reads = section.get("reads").map(|(value, at)| reads(report, value, at, &methods)).unwrap_or_default();
    let addresses = section.get("addresses").map(|(value, at)| addresses(report, value, at)).unwrap_or_default();
    let ca = section.get("ca").map(|(value, at)| trust(report, value, at)).unwrap_or_default();
    let url = url?;
    if ca != Trust::Public && !url.is_secure() {
        report.add(at, format!("`ca` says nothing for {url}, which has no certificate; write https, or drop it"));
    }
    Some(HttpGrant { url, methods, paths, reads, addresses, ca })
}

/// One value under `credentials`.
pub(in crate::grants) fn credential(report: &mut Report, value: &Value, at: &str) -> CredentialGrant {
    let section = report.section(value, at, &["hosts", "methods", "header", "reveal"]);
    let reveal = section.get("reveal").is_some_and(|(value, at)| report.flag(value, at));
    if reveal && section.get("hosts").is_none() && section.get("methods").is_none() {
        if section.get("header").is_some() {
            report.add(at, "`header` says nothing without `hosts` and `methods`; name them, or drop it");
        }
        return CredentialGrant { reveal, ..CredentialGrant::default() };
    }
    let hosts = match section.get("hosts") {
        Some((value, at)) => {
            report.items(value, at).into_iter().filter_map(|(item, at)| origin(report, item, &at)).collect()
        }
        None => {
            report.add(at, "needs `hosts`, such as [\"https://grafana.example.com\"], or `reveal: true`");
            Vec::new()
        }
    };
    CredentialGrant {
        hosts,
        methods: methods(report, &section),
        header: section.get("header").and_then(|(value, at)| header(report, value, at)),
        reveal,
    }
}

fn origin(report: &mut Report, value: &Value, at: &str) -> Option<Origin> {
    let text = report.text(value, at)?;
    Origin::parse(&text).map_err(|message| report.add(at, message)).ok()
}

fn methods(report: &mut Report, section: &Section<'_>) -> Vec<String> {
    let Some((value, at)) = section.get("methods") else {
        report.add(section.at(), "needs `methods`, such as [GET]");
        return Vec::new();
    };
    report.items(value, at).into_iter().filter_map(|(item, at)| report.word(item, &at, &METHODS)).collect()
}

/// Only what servers are asked by where a question is too long for a URL.
fn reads(report: &mut Report, value: &Value, at: &str, methods: &[String]) -> Vec<String> {
    let items = report.items(value, at).into_iter();
    let words: Vec<_> = items.filter_map(|(item, at)| Some((report.word(item, &at, &["POST"])?, at))).collect();
    for (word, at) in &words {
        if !methods.contains(word) {
            report.add(at, format!("`{word}` is not among the entry's `methods`; add it there, or drop it here"));
        }
    }
    words.into_iter().map(|(word, _)| word).collect()
}

fn paths(report: &mut Report, value: &Value, at: &str) -> Vec<Glob> {
    let texts = report.texts(value, at);
    if texts.is_empty() {
        report.add(at, "it is empty; without `paths` every path is allowed, so name some or drop it");
    }
    for text in &texts {
        if !text.starts_with('/') {
            report.add(at, format!("`{text}` matches no path; begin it with a slash, as in \"/api/v1/*\""));
        } else if text.contains(['?', '#']) {
            report.add(at, format!("`{text}` holds more than a path; what stands behind `?` is not judged"));
        } else if let Err(message) = super::path::check(text) {
            report.add(at, message);
        }
    }
    texts.into_iter().map(Glob::new).collect()
}

fn addresses(report: &mut Report, value: &Value, at: &str) -> Addresses {
    if !matches!(value, Value::Sequence(_)) {
        return match report.word(value, at, &["public", "cluster"]).as_deref() {
            Some("cluster") => Addresses::Cluster,
            _ => Addresses::Public,
        };
    }
    let networks: Vec<_> = report.texts(value, at);
    if networks.is_empty() {
        report.add(at, "it is empty; name networks such as 10.1.0.0/16, or write public or cluster");
    }
    let read = |text: &String| match Network::parse(text) {
        Err(message) => Err(message),
        Ok(network) => match address::is_futile(&network) {
            Some(why) => Err(format!("`{network}` {why}, and no grant reaches that")),
            None => Ok(network),
        },
    };
    let networks = networks.iter().filter_map(|text| read(text).map_err(|message| report.add(at, message)).ok());
    Addresses::Networks(networks.collect())
}

fn trust(report: &mut Report, value: &Value, at: &str) -> Trust {
    let text = report.text(value, at).unwrap_or_default();
    match text.as_str() {
        "public" => Trust::Public,
        "cluster" => Trust::Cluster,
        _ if text.trim_start().starts_with(PEM_BEGINS) => Trust::Pem(text),
        _ if text.starts_with('/') => Trust::File(text),
        _ => {
            report.add(at, "expected public, cluster, the absolute path of a PEM file, or PEM text");
            Trust::Public
        }
    }
}

fn header(report: &mut Report, value: &Value, at: &str) -> Option<String> {
    let text = report.text(value, at)?;
    carrier(&text).map_err(|message| report.add(at, message)).ok()
}

//! The grants file, from text to [`Grants`]. Any mistake refuses the whole file: half a grant is a guess.

use std::{collections::BTreeSet, sync::Arc};

use serde_yaml_ng::Value;

use crate::executor::commands::Effect;

use super::{
    Glob, Grant, Grants, LimitsGrant, Mistake, SYSTEM_PLUGIN, System, Unlisted,
    fields::{Report, Section},
    http, kubernetes, process, signing,
};

const TEXT_MAX_BYTES: usize = 1 << 20;
const CONFIG_MAX_BYTES: usize = 64 << 10;

const PLUGIN_KEYS: [&str; 13] = [
    "sha256",
    "artifact",
    "commands",
    "effect",
    "config",
    "limits",
    "kubernetes",
    "account",
    "identity",
    "http",
    "credentials",
    "process",
    "system",
];

impl Grants {
    /// Reads a grants file. An empty file grants nothing.
    ///
    /// # Errors
    /// Every mistake that was found, at most 50.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        let whole = |message: String| vec![Mistake { at: "the file".to_owned(), message }];
        if text.len() > TEXT_MAX_BYTES {
            return Err(whole(format!("{} bytes; at most {TEXT_MAX_BYTES} are read", text.len())));
        }
        let value: Value = serde_yaml_ng::from_str(text).map_err(|error| whole(error.to_string()))?;
        let mut report = Report::default();
        let root = report.section(&value, "", &["plugins", "unlisted", "signatures"]);
        let mut grants = Self::default();
        if let Some((value, at)) = root.get("unlisted")
            && report.word(value, at, &["allow", "deny"]).as_deref() == Some("deny")
        {
            grants.unlisted = Unlisted::Deny;
        }
        if let Some((value, at)) = root.get("signatures") {
            grants.signatures = signing::rules(&mut report, value, at);
        }
        if let Some((value, at)) = root.get("plugins") {
            for (name, value, at) in report.entries(value, at) {
                let section = report.section(value, &at, &PLUGIN_KEYS);
                let grant = plugin(&mut report, name, &section);
                if grant.reaches_out() && grant.sha256.is_none() && grants.signing(name).next().is_none() {
                    let needs = "a plugin that may reach out needs `sha256`, the digest of the one file that may load, or a rule of `signatures` that names it";
                    report.add(&at, needs);
                }
                grants.plugins.insert(name.to_owned(), grant);
            }
        }
        report.finish(grants)
    }
}

fn plugin(report: &mut Report, name: &str, section: &Section<'_>) -> Grant {
    let mut grant = Grant::default();
    if let Some((value, at)) = section.get("sha256") {
        grant.sha256 = digest(report, value, at);
    }
    if let Some((value, at)) = section.get("artifact") {
        grant.artifact = artifact(report, value, at);
    }
    if let Some((value, at)) = section.get("commands") {
        grant.commands = Some(globs(report, value, at));
    }
    if let Some((value, at)) = section.get("effect") {
        for (glob, value, at) in report.entries(value, at) {
            if let Some(effect) = effect(report, value, &at) {
                grant.effect.push((Glob::new(glob), effect));
            }
        }
    }
    if let Some((value, at)) = section.get("config") {
        grant.config = config(report, value, at);
    }
    if let Some((value, at)) = section.get("limits") {
        let section =
            report.section(value, at, &["memory", "cpu", "wall", "host_calls", "output", "concurrency", "rate"]);
        grant.limits = limits(report, &section);
    }
    if let Some((value, at)) = section.get("kubernetes") {
        for (value, at) in report.items(value, at) {
            grant.kubernetes.push(Arc::new(kubernetes::parse::rule(report, value, &at)));
        }
    }
    if let Some((value, at)) = section.get("http") {
        for (value, at) in report.items(value, at) {
            grant.http.extend(http::parse::entry(report, value, &at).map(Arc::new));
        }
    }
    if let Some((value, at)) = section.get("credentials") {
        for (glob, value, at) in report.entries(value, at) {
            grant.credentials.push((Glob::new(glob), http::parse::credential(report, value, &at)));
        }
    }
    if let Some((value, at)) = section.get("process") {
        grant.process = process::parse(report, value, at);
    }
    if let Some((value, at)) = section.get("system") {
        grant.system = system(report, name, value, at);
    }
    grant.identity = kubernetes::parse::identity(report, name, section, &grant);
    process::check(report, section.at(), &grant);
    grant
}

/// Parts of the agent go to one plugin by its name: a glob, or a second name, would be a way around the plugin that the agent's
/// own commands are reserved for.
fn system(report: &mut Report, name: &str, value: &Value, at: &str) -> BTreeSet<System> {
    let known = System::ALL.map(System::as_str);
    let words: Vec<_> =
        report.items(value, at).into_iter().filter_map(|(item, at)| report.word(item, &at, &known)).collect();
    if name != SYSTEM_PLUGIN {
        report.add(at, format!("only the plugin `{SYSTEM_PLUGIN}` can be granted parts of the agent itself; drop it"));
        return BTreeSet::new();
    }
    System::ALL.into_iter().filter(|part| words.iter().any(|word| word == part.as_str())).collect()
}

fn digest(report: &mut Report, value: &Value, at: &str) -> Option<[u8; 32]> {
    let text = report.text(value, at)?;
    let mut digest = [0; 32];
    let pairs = text.as_bytes().chunks(2);
    let parsed = text.len() == 64
        && pairs.zip(&mut digest).all(|(pair, byte)| {
            let hex = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
            hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).map(|value| *byte = value).is_some()
        });
    if !parsed {
        report.add(at, "expected 64 hexadecimal digits");
    }
    parsed.then_some(digest)
}

fn artifact(report: &mut Report, value: &Value, at: &str) -> Option<String> {
    let text = report.text(value, at)?;
    let digest = text.split_once("@sha256:").map(|(_, digest)| digest);
    let is_pinned = digest.is_some_and(|digest| {
        digest.len() == 64 && digest.bytes().all(|it| it.is_ascii_hexdigit() && !it.is_ascii_uppercase())
    });
    if !is_pinned {
        report.add(at, "expected `registry/repository@sha256:…`: what a tag means may change");
    }
    is_pinned.then_some(text)
}

fn effect(report: &mut Report, value: &Value, at: &str) -> Option<Effect> {
    match report.word(value, at, &["read", "idempotent", "verify", "never"])?.as_str() {
        "read" => Some(Effect::Read),
        "idempotent" => Some(Effect::Idempotent),
        "verify" => Some(Effect::Verify),
        _ => Some(Effect::Never),
    }
}

fn config(report: &mut Report, value: &Value, at: &str) -> serde_json::Map<String, serde_json::Value> {
    // Through JSON text, so that numbers take the form they have in a call's context.
    let parsed = serde_json::to_string(value).map_err(|error| error.to_string()).and_then(|text| {
        serde_json::from_str(&text).map(|parsed| (parsed, text.len())).map_err(|error| error.to_string())
    });
    match parsed {
        Ok((_, length)) if length > CONFIG_MAX_BYTES => {
            report.add(at, format!("{length} bytes as JSON; at most {CONFIG_MAX_BYTES} are allowed"));
        }
        Ok((serde_json::Value::Object(map), _)) => return map,
        Ok((serde_json::Value::Null, _)) => {}
        Ok(_) => report.add(at, "expected a mapping"),
        Err(error) => report.add(at, format!("not expressible as JSON: {error}")),
    }
    serde_json::Map::new()
}

fn limits(report: &mut Report, section: &Section<'_>) -> LimitsGrant {
    let mut limits = LimitsGrant::default();
    if let Some((value, at)) = section.get("memory") {
        limits.memory_bytes = report.bytes(value, at).filter(|&bytes| {
            let enough = (1 << 16..=4 << 30).contains(&bytes);
            if !enough {
                report.add(at, "expected a size from 64Ki to 4Gi");
            }
            enough
        });
    }
    if let Some((value, at)) = section.get("cpu") {
        limits.cpu = report.duration(value, at);
    }
    if let Some((value, at)) = section.get("wall") {
        limits.wall = report.duration(value, at);
    }
    if let Some((value, at)) = section.get("host_calls") {
        limits.host_calls = report.count(value, at, 1_000_000).and_then(|count| u32::try_from(count).ok());
    }
    if let Some((value, at)) = section.get("output") {
        let bytes = report.bytes(value, at).and_then(|bytes| usize::try_from(bytes).ok());
        limits.output_bytes = bytes.filter(|bytes| {
            let enough = (1 << 10..=16 << 20).contains(bytes);
            if !enough {
                report.add(at, "expected a size from 1Ki to 16Mi");
            }
            enough
        });
    }
    if let Some((value, at)) = section.get("concurrency") {
        limits.concurrency = report.count(value, at, 10_000).and_then(|count| usize::try_from(count).ok());
    }
    if let Some((value, at)) = section.get("rate") {
        limits.rate = report.count(value, at, 1_000_000).and_then(|count| u32::try_from(count).ok());
    }
    limits
}

fn globs(report: &mut Report, value: &Value, at: &str) -> Vec<Glob> {
    report.texts(value, at).into_iter().map(Glob::new).collect()
}

#[cfg(test)]
mod tests;

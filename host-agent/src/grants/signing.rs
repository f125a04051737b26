//! Who must have signed which plugins: `signatures` of the grants file. Ed25519, keys as `openssl pkey -pubout` prints them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use semver::Version;
use serde_yaml_ng::Value;

use super::{Glob, Grants, fields::Report};

const KEYS_MAX: usize = 16;
/// What stands before the 32 bytes of an Ed25519 key in DER (RFC 8410, section 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// One rule. A plugin for which there are several satisfies each.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningRule {
    /// For which plugins it counts.
    pub plugins: Vec<Glob>,
    /// Public keys by the operator's names for them. One of them must have signed; while keys are changed there are two.
    pub keys: Vec<(String, [u8; 32])>,
    /// No earlier version loads, however well it is signed.
    pub minimum: Option<Version>,
}

impl Grants {
    /// The rules that count for a plugin.
    pub fn signing(&self, plugin: &str) -> impl Iterator<Item = &SigningRule> {
        self.signatures.iter().filter(move |rule| rule.plugins.iter().any(|glob| glob.matches(plugin)))
    }
}

pub(super) fn rules(report: &mut Report, value: &Value, at: &str) -> Vec<SigningRule> {
    report.items(value, at).into_iter().filter_map(|(value, at)| rule(report, value, &at)).collect()
}

fn rule(report: &mut Report, value: &Value, at: &str) -> Option<SigningRule> {
    let section = report.section(value, at, &["plugins", "keys", "minimum"]);
    let plugins: Vec<Glob> = match section.get("plugins") {
        Some((value, at)) => report.texts(value, at).into_iter().map(Glob::new).collect(),
        None => Vec::new(),
    };
    if plugins.is_empty() {
        report.add(at, "needs `plugins`: names of those for which it counts, such as `[\"*\"]`");
    }
    let mut keys = Vec::new();
    if let Some((value, at)) = section.get("keys") {
        for (name, value, at) in report.entries(value, at) {
            let Some(text) = report.text(value, &at) else { continue };
            match key(&text) {
                Some(key) => keys.push((name.to_owned(), key)),
                None => report.add(&at, "expected an Ed25519 public key: the line between BEGIN and END of `openssl pkey -in KEY.pem -pubout`"),
            }
        }
    }
    if keys.is_empty() || keys.len() > KEYS_MAX {
        report.add(at, format!("needs `keys`: from one to {KEYS_MAX}, each under a name of yours"));
    }
    let mut minimum = None;
    if let Some((value, at)) = section.get("minimum") {
        let text = report.text(value, at)?;
        match Version::parse(&text) {
            Ok(version) => minimum = Some(version),
            Err(error) => report.add(at, format!("expected a version such as 1.2.0: {error}")),
        }
    }
    Some(SigningRule { plugins, keys, minimum })
}

fn key(text: &str) -> Option<[u8; 32]> {
    let der = STANDARD.decode(text.trim()).ok()?;
    der.strip_prefix(&SPKI)?.try_into().ok()
}

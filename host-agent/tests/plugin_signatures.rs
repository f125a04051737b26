//! Who signed a plugin, for which name, version and content: fail-closed where the grants file asks for it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use claiflow_agent::executor::commands::{PluginEntry, PluginState};
use plugin_parts::{Guest, House};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};

/// A key that is made of one byte, so that each test run signs alike.
struct Key(Ed25519KeyPair);

impl Key {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    /// As the grants file has it.
    fn public(&self) -> String {
        let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        der.extend_from_slice(self.0.public_key().as_ref());
        STANDARD.encode(der)
    }

    /// The section that signs `content` under a name, a version and a contract.
    fn section(&self, name: &str, version: &str, content: &[u8]) -> Vec<u8> {
        let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!(
            "claiflow plugin signature 1\nname: {name}\nversion: {version}\nsha256: {digest}\ncontract: 1.0.0\n"
        );
        let signature = STANDARD.encode(self.0.sign(text.as_bytes()));
        let data = format!(r#"{{"version":"{version}","contract":"1.0.0","signature":"{signature}"}}"#);
        custom("claiflow-signature", data.as_bytes())
    }
}

/// A custom section: id 0, its size, its name, its data.
fn custom(name: &str, data: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    leb(&mut payload, name.len());
    payload.extend_from_slice(name.as_bytes());
    payload.extend_from_slice(data);
    let mut section = vec![0];
    leb(&mut section, payload.len());
    section.extend(payload);
    section
}

fn leb(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

async fn verdict(bytes: &[u8], rules: &str) -> PluginEntry {
    House::verdict("tool.wasm", bytes, &format!("signatures: [{rules}]\nplugins: {{tool: {{}}}}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_loads_only_as_it_was_signed() {
    let (ours, new, foreign) = (Key::new(1), Key::new(2), Key::new(3));
    let plain = Guest::new("tool", r#"[{"name":"go"}]"#).build();
    let version = "1.0.0";
    let signed = |key: &Key, name: &str, version: &str| joined(&[&plain, &key.section(name, version, &plain)]);
    let rule = format!("{{plugins: [\"t*\"], keys: {{ours: \"{}\"}}}}", ours.public());
    let rotating = format!("{{plugins: [tool], keys: {{ours: \"{}\", next: \"{}\"}}}}", ours.public(), new.public());
    let newer = rule.replace("keys:", "minimum: 1.0.1, keys:");
    let met = rule.replace("keys:", "minimum: 1.0.0, keys:");
    let other = rule.replace("t*", "other");
    let both = format!("{rule}, {{plugins: [\"to*\"], keys: {{next: \"{}\"}}}}", new.public());
    let (good, by_new) = (signed(&ours, "tool", version), signed(&new, "tool", version));
    let twice = joined(&[&good, &new.section("tool", version, &plain)]);
    let mut touched = good.clone();
    let at = plain.windows(4).position(|window| window == b"\"go\"").unwrap();
    touched[at + 1] = b'h';
    let behind = joined(&[&good, &custom("note", b"nobody signed this")]);

    for (what, bytes, rules, signers) in [
        ("signed", &good, &rule, vec!["ours"]),
        ("signed, and the version is the least", &good, &met, vec!["ours"]),
        ("signed by the next key while both are named", &by_new, &rotating, vec!["next"]),
        ("signed by both, for two rules", &twice, &both, vec!["next", "ours"]),
        ("not signed, and no rule names it", &plain, &other, vec![]),
    ] {
        let entry = verdict(bytes, rules).await;
        assert_eq!(
            (entry.state, entry.signed_by),
            (PluginState::Ready, signers.into_iter().map(str::to_owned).collect()),
            "{what}: {}",
            entry.reason
        );
    }
    for (what, bytes, rules, part) in [
        ("not signed", &plain, &rule, "it is not signed"),
        ("signed by somebody else", &signed(&foreign, "tool", version), &rule, "no signature of it is theirs"),
        ("signed by the next key before it is named", &by_new, &rule, "no signature of it is theirs"),
        ("signed for one rule of two", &good, &both, "no signature of it is theirs"),
        ("renamed", &signed(&ours, "other", version), &rule, "no signature of it is theirs"),
        ("changed afterwards", &touched, &rule, "no signature of it is theirs"),
        ("too old", &good, &newer, "its version is 1.0.0; the grants file wants 1.0.1 or later"),
        ("signed as newer than it is", &signed(&ours, "tool", "1.0.1"), &newer, "signed is 1.0.1"),
        ("something behind the signature", &behind, &rule, "something stands behind its signature"),
        (
            "a signature that is none",
            &joined(&[&plain, &custom("claiflow-signature", b"{}")]),
            &rule,
            "build-plugin --sign",
        ),
    ] {
        let entry = verdict(bytes, rules).await;
        assert_eq!(entry.state, PluginState::Refused, "{what}");
        assert!(entry.reason.contains(part), "{what}: {}", entry.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_stands_in_for_a_pin_and_its_withdrawal_ends_the_plugin() {
    let ours = Key::new(1);
    let plain = Guest::new("tool", r#"[{"name":"go"}]"#).build();
    let good = joined(&[&plain, &ours.section("tool", "1.0.0", &plain)]);
    let grants = |key: &Key| {
        format!(
            "signatures: [{{plugins: [tool], keys: {{ours: \"{}\"}}}}]\nplugins: {{tool: {{process: [helm.history]}}}}",
            key.public()
        )
    };
    let mut house = House::new();
    house.put("tool.wasm", &good);
    house.grant(&grants(&ours));
    house.open().await;
    assert_eq!(house.plugin("tool").state, PluginState::Ready);
    house.grant(&grants(&Key::new(2)));
    house.until("the plugin is set aside", |inventory| inventory.plugins[0].state == PluginState::Refused).await;
}

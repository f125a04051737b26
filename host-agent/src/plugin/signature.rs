//! Signatures of a component file: custom sections `claiflow-signature` at its very end, each over all that stands before the first.
//!
//! What is signed is a text of name, version, digest and contract, so that a signed file can neither be renamed nor pass for
//! another version. A file carries its signatures wherever it goes: ConfigMap, artifact, image, directory.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, UnparsedPublicKey};
use semver::Version;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use wasmparser::{CustomSectionReader, Payload};

use crate::grants::Grants;

use super::cache::hex;

const SECTION: &str = "claiflow-signature";
const SIGNATURES_MAX: usize = 8;

/// The signatures of one file, believed by nobody yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Signatures {
    /// SHA-256 of what they are over, hexadecimal; empty where there are none.
    content: String,
    all: Vec<Signature>,
}

/// What a section holds: JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Signature {
    version: String,
    contract: String,
    /// Base64.
    signature: String,
}

/// Gathers them while somebody walks through the file.
#[derive(Default)]
pub(super) struct Gathering {
    all: Vec<Signature>,
    /// Where the first section begins.
    content: Option<usize>,
    fault: Option<String>,
}

impl Gathering {
    /// One payload of the file, that lies so deep in it.
    pub(super) fn see(&mut self, bytes: &[u8], payload: &Payload<'_>, depth: usize) {
        if self.fault.is_some() || depth != 1 {
            return;
        }
        self.fault = match payload {
            Payload::Version { .. } | Payload::End(_) => None,
            Payload::CustomSection(section) if section.name() == SECTION => self.take(bytes, section).err(),
            // Else a part of the file would be believed that nobody signed.
            _ if self.content.is_some() => Some("something stands behind its signature".into()),
            _ => None,
        };
    }

    fn take(&mut self, bytes: &[u8], section: &CustomSectionReader<'_>) -> Result<(), String> {
        if self.content.is_none() {
            self.content = Some(before(bytes, section.range().start)?);
        }
        if self.all.len() == SIGNATURES_MAX {
            return Err(format!("it has more than {SIGNATURES_MAX} signatures"));
        }
        let signature = serde_json::from_slice(section.data())
            .map_err(|error| format!("its section `{SECTION}` is not what `build-plugin --sign` writes: {error}"))?;
        self.all.push(signature);
        Ok(())
    }

    /// All of them, once the walk is over.
    ///
    /// # Errors
    /// A section that is none, or something behind one.
    pub(super) fn finish(self, bytes: &[u8]) -> Result<Signatures, String> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let content = self.content.and_then(|end| bytes.get(..end));
        // Of a file that is not signed nobody asks for it.
        let content = content.map(|content| hex(&Sha256::digest(content))).unwrap_or_default();
        Ok(Signatures { content, all: self.all })
    }
}

impl Signatures {
    /// The operator's names of the keys that signed, where every rule for the plugin is satisfied.
    ///
    /// # Errors
    /// Which rule is not, and what would satisfy it.
    pub(super) fn check(&self, plugin: &str, grants: &Grants) -> Result<Vec<String>, String> {
        let mut signers = Vec::new();
        for rule in grants.signing(plugin) {
            let by = |signature: &&Signature| {
                let text = signature.text(plugin, &self.content);
                let bytes = STANDARD.decode(&signature.signature).unwrap_or_default();
                let signed = |(_, key): &&(String, [u8; 32])| {
                    UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), &bytes).is_ok()
                };
                rule.keys.iter().find(signed).map(|(name, _)| name.clone())
            };
            let Some((signature, signer)) = self.all.iter().find_map(|it| Some((it, by(&it)?))) else {
                let keys: Vec<_> = rule.keys.iter().map(|(name, _)| name.as_str()).collect();
                return Err(format!(
                    "the grants file wants it signed by one of the keys {}, and {}; `cargo xtask build-plugin --sign KEY.pem` signs",
                    keys.join(", "),
                    if self.all.is_empty() {
                        "it is not signed"
                    } else {
                        "no signature of it is theirs for this name and content"
                    }
                ));
            };
            if let Some(minimum) = &rule.minimum {
                let version = Version::parse(&signature.version)
                    .map_err(|error| format!("its signed version `{}` is none: {error}", signature.version))?;
                if version < *minimum {
                    return Err(format!("its version is {version}; the grants file wants {minimum} or later"));
                }
            }
            signers.push(signer);
        }
        signers.sort();
        signers.dedup();
        Ok(signers)
    }

    /// Whether what the plugin says of itself is what was signed.
    ///
    /// # Errors
    /// Which versions differ.
    pub(super) fn agree(&self, version: &str) -> Result<(), String> {
        match self.all.iter().find(|signature| signature.version != version) {
            None => Ok(()),
            Some(signature) => {
                Err(format!("it says that its version is {version}, and signed is {}", signature.version))
            }
        }
    }
}

impl Signature {
    /// What the key signs.
    fn text(&self, plugin: &str, content: &str) -> String {
        let Self { version, contract, .. } = self;
        format!(
            "claiflow plugin signature 1\nname: {plugin}\nversion: {version}\nsha256: {content}\ncontract: {contract}\n"
        )
    }
}

/// Where the section begins whose payload is at `payload`: one byte of id and the size before it, LEB128.
fn before(bytes: &[u8], payload: usize) -> Result<usize, String> {
    let size = |at: usize| {
        let (mut value, mut shift) = (0_usize, 0);
        for (read, byte) in bytes.get(at..payload)?.iter().enumerate() {
            value |= usize::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                return Some((at + read + 1, value));
            }
        }
        None
    };
    (2..=6)
        .filter_map(|back| payload.checked_sub(back))
        .find(|start| bytes.get(*start) == Some(&0) && size(start + 1).is_some_and(|(end, _)| end == payload))
        .ok_or_else(|| "its signature's section has no beginning".to_owned())
}

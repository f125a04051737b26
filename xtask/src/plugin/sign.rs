//! Signs a component with an Ed25519 key, by openssl: keys stay in files (or behind whatever openssl is set up with), and agents
//! name the public half in their grants file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use wasm_encoder::{ComponentSection as _, CustomSection};

use super::{Built, component::CONTRACT, place, sha256};

const SECTION: &str = "claiflow-signature";
const ADVICE: &str = "`openssl genpkey -algorithm ed25519 -out KEY.pem` makes a key";

/// Appends a signature a key to the component, which changes its digest; the public keys as the grants file names them.
///
/// # Errors
/// A key that is none, and a plugin whose version is not known: it is part of what is signed.
pub(super) fn sign(built: &Built, keys: &[PathBuf]) -> Result<Vec<String>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let version = built.description.as_ref().map(|description| description.version.as_str());
    let version =
        version.context("only plugins that use an SDK can be signed: their version is part of what is signed")?;
    let mut component = fs::read(&built.file)?;
    let (name, content) = (&built.name, sha256(&component));
    let text = format!(
        "claiflow plugin signature 1\nname: {name}\nversion: {version}\nsha256: {content}\ncontract: {CONTRACT}\n"
    );
    // openssl signs without a digest of its own only what is a file.
    let statement = built.file.with_extension("statement");
    let public = keys.iter().map(|key| {
        let public = openssl(&["pkey", "-pubout", "-outform", "DER", "-in"], key, None)?;
        ensure!(public.len() == 44, "{} is no Ed25519 key; {ADVICE}", key.display());
        fs::write(&statement, &text)?;
        let signed = openssl(&["pkeyutl", "-sign", "-rawin", "-inkey"], key, Some(&statement));
        fs::remove_file(&statement)?;
        let data = json!({"version": version, "contract": CONTRACT, "signature": STANDARD.encode(signed?)}).to_string();
        CustomSection { name: SECTION.into(), data: data.as_bytes().into() }.append_to_component(&mut component);
        Ok(STANDARD.encode(public))
    });
    let public = public.collect::<Result<Vec<_>>>()?;
    place(&built.file, &component)?;
    Ok(public)
}

fn openssl(arguments: &[&str], key: &Path, input: Option<&PathBuf>) -> Result<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(arguments).arg(key);
    if let Some(input) = input {
        command.arg("-in").arg(input);
    }
    let output = command.output().context("openssl is missing: apt-get install openssl")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("openssl does not sign with {}: {}; {ADVICE}", key.display(), said.lines().next().unwrap_or_default());
    }
    Ok(output.stdout)
}

//! A real OpenID Connect provider in Node.js, whose keys and clients are the test's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    plugin::sha256,
    process::{Process, free_port, until},
    target,
};

/// The provider's own manifest, with the digest of each package.
const PACKAGE: &str = include_str!("package.json");
const LOCK: &str = include_str!("package-lock.json");
const PROVIDER: &str = include_str!("provider.mjs");
const MINT: &str = include_str!("mint.mjs");

/// For whom right tokens are.
pub(super) const AUDIENCE: &str = "claiflow";

/// Who signs a token that the provider never gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// Its own key.
    Own,
    /// Another key, under the name of its own.
    Forger,
    /// A key whose name it never published.
    Unheard,
}

/// The provider, and the private keys that it has at the moment.
pub(super) struct Issuer {
    folder: PathBuf,
    home: PathBuf,
    port: u16,
    keys: PathBuf,
    process: Option<Process>,
}

impl Issuer {
    /// Installs the provider where it is not there yet; it does not run.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn ready(home: &Path) -> Result<Self> {
        let lock = sha256(LOCK.as_bytes());
        let folder = target().join(format!("issuer-{}", lock.get(..8).unwrap_or_default()));
        let done = folder.join("installed");
        if !done.exists() {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("package.json"), PACKAGE)?;
            fs::write(folder.join("package-lock.json"), LOCK)?;
            eprintln!("→ installing an OpenID Connect provider (4 MB, once)");
            let mut npm = Command::new("npm");
            npm.current_dir(&folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
            let status = npm.status().context("npm is missing: apt-get install nodejs npm")?;
            ensure!(status.success(), "npm could not install the provider ({status}); is a registry reachable?");
            fs::write(done, "")?;
        }
        for (name, text) in [("provider.mjs", PROVIDER), ("mint.mjs", MINT)] {
            fs::write(folder.join(name), text)?;
        }
        fs::create_dir_all(home)?;
        Ok(Self { folder, home: home.into(), port: free_port(0)?, keys: home.join("keys-1.json"), process: None })
    }

    /// What tokens call it.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it at the address that it always has.
    pub(super) fn start(&mut self) -> Result<()> {
        let mut node = Command::new("node");
        node.current_dir(&self.folder).arg("provider.mjs").arg(self.port.to_string()).arg(&self.keys);
        self.process = Some(Process::start("issuer", &mut node, &self.home)?);
        until("the issuer serves", Duration::from_secs(30), || {
            ureq::get(format!("{}/.well-known/openid-configuration", self.url())).call()?;
            Ok(())
        })
    }

    /// Stops it.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Gives it other keys, and no former one.
    pub(super) fn rotate(&mut self) -> Result<()> {
        self.stop()?;
        self.keys = self.home.join("keys-2.json");
        self.start()
    }

    /// A token for a client, as it asks for one itself.
    pub(super) fn token(&self, client: &str, audience: &str, algorithm: &str) -> Result<String> {
        let basic = STANDARD.encode(format!("{client}:{client}-secret"));
        let form = format!("grant_type=client_credentials&resource=urn:{audience}:{algorithm}");
        let mut response = ureq::post(format!("{}/token", self.url()))
            .header("authorization", format!("Basic {basic}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .send(form)?;
        let answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
        answer.get("access_token").and_then(Value::as_str).map(str::to_owned).context("no token")
    }

    /// A token that it never gave.
    pub(super) fn minted(&self, algorithm: &str, claims: &Value, signer: Signer) -> Result<String> {
        let own: Value = serde_json::from_str(&fs::read_to_string(&self.keys)?)?;
        let own = own.pointer("/0/kid").and_then(Value::as_str).context("no key")?;
        let id = if signer == Signer::Unheard { "unheard" } else { own };
        let keys = if signer == Signer::Forger { self.other_keys()? } else { self.keys.clone() };
        let mut node = Command::new("node");
        node.current_dir(&self.folder).arg("mint.mjs").arg(keys);
        node.arg(json!({"alg": algorithm, "kid": id, "typ": "at+jwt"}).to_string()).arg(claims.to_string());
        let output = node.output()?;
        if !output.status.success() {
            bail!("no token: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Keys of another provider, which says that they have the same names.
    fn other_keys(&self) -> Result<PathBuf> {
        let other = self.home.join("other");
        fs::create_dir_all(&other)?;
        let file = other.join("keys.json");
        if !file.exists() {
            let port = free_port(0)?.to_string();
            let mut node = Command::new("node");
            node.current_dir(&self.folder).args(["provider.mjs", &port]).arg(&file);
            let _other = Process::start("other", &mut node, &other)?;
            until("the other issuer has keys", Duration::from_secs(30), || {
                let text = fs::read_to_string(&file)?;
                Ok(serde_json::from_str::<Value>(&text).map(drop)?)
            })?;
        }
        Ok(file)
    }
}

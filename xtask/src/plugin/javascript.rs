//! Plugins in JavaScript and TypeScript: one module of the author's, the SDK's and all packages, put into a component with its engine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{Made, guests, kept, manifest::Manifest, sha256, world};
use crate::root;

const HOW_TO_INSTALL: &str = "plugins in JavaScript are made with Node.js 20 or later and npm:
  apt-get install nodejs npm      (Debian)
  npm install --global node@22    (where its Node.js is older)";
const NODE_MIN: u32 = 20;

/// The compiler's own manifest, with the digest of each package.
const PACKAGE: &str = include_str!("javascript/package.json");
const LOCK: &str = include_str!("javascript/package-lock.json");
const BUNDLE: &str = include_str!("javascript/bundle.mjs");
const COMPONENTIZE: &str = include_str!("javascript/componentize.mjs");

/// What package.json says.
pub(super) struct Package {
    pub(super) version: String,
    /// The module that names the commands, absolute.
    pub(super) main: PathBuf,
    /// The schema of what an operator sets.
    pub(super) config: Option<Value>,
}

/// The compiler as npm installed it.
pub(super) struct Compiler {
    folder: PathBuf,
    title: String,
}

impl Compiler {
    /// Installs it below the target directory where it is not there yet.
    ///
    /// # Errors
    /// What is missing, and how to install it.
    pub(super) fn ready() -> Result<Self> {
        let node = said("node", &["--version"]).context(HOW_TO_INSTALL)?;
        let major = node.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < NODE_MIN) {
            bail!("node is {}; {HOW_TO_INSTALL}", node.trim());
        }
        let version = version_of("@bytecodealliance/componentize-js").context("the compiler's package.json")?;
        let lock = sha256(LOCK.as_bytes());
        let folder = guests().join("tools").join(format!("js-{version}-{}", lock.get(..8).unwrap_or_default()));
        let done = folder.join("installed");
        if !done.exists() {
            install(&folder)?;
            fs::write(done, "")?;
        }
        for (name, text) in [("bundle.mjs", BUNDLE), ("componentize.mjs", COMPONENTIZE)] {
            fs::write(folder.join(name), text)?;
        }
        Ok(Self { folder, title: format!("componentize-js {version}") })
    }

    /// Its name and version, for people and for the component.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// A component, and what `describe` answers.
    ///
    /// # Errors
    /// What the bundler, the author's module or the compiler says.
    pub(super) fn build(&self, manifest: &Manifest, package: &Package) -> Result<Made> {
        let name = &manifest.name;
        let work = guests().join("javascript").join(name);
        let wit = work.join("wit");
        // `fetch` brings its own imports.
        let imports: Vec<&str> =
            manifest.capabilities.iter().map(String::as_str).filter(|capability| *capability != "http").collect();
        let has_http = imports.len() < manifest.capabilities.len();
        let world = world::write(&imports, &wit)?;
        let job = json!({
            "plugin": {"name": name, "version": package.version, "config": package.config},
            "main": package.main,
            "sdk": root().join("plugins/sdk-js/src"),
            "imports": imports,
            "http": has_http,
            "world": world::WORLD.rsplit('/').next(),
            "work": work,
        });
        self.node("bundle.mjs", &job)
            .with_context(|| format!("{name} is no module that works; what is said of it stands above"))?;
        let bundle = fs::read_to_string(work.join("plugin.js"))?;
        let description = fs::read(work.join("description.json"))?;
        let description = serde_json::from_slice(&description).context("the SDK's description is no JSON")?;
        let parts = [LOCK, COMPONENTIZE, &world, if has_http { "http" } else { "" }, &bundle];
        let component = kept::or_made(&guests().join("javascript-made"), name, &parts, || {
            self.node("componentize.mjs", &job)
                .with_context(|| format!("{name} does not compile; what is said of it stands above"))?;
            Ok(work.join("plugin.wasm"))
        })?;
        Ok(Made { component, description: Some(description), toolchain: self.title.clone() })
    }

    fn node(&self, script: &str, job: &Value) -> Result<()> {
        let mut node = Command::new("node");
        node.current_dir(&self.folder).arg(script).arg(job.to_string());
        let status = node.status().with_context(|| format!("node could not be started; {HOW_TO_INSTALL}"))?;
        if !status.success() {
            bail!("{script} ended with {status}");
        }
        Ok(())
    }
}

/// By the lock, which has the digest of each package.
fn install(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    fs::write(folder.join("package.json"), PACKAGE)?;
    fs::write(folder.join("package-lock.json"), LOCK)?;
    eprintln!("→ installing the compiler of JavaScript plugins (400 MB, once)");
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    let status = npm.status().with_context(|| format!("npm could not be started; {HOW_TO_INSTALL}"))?;
    if !status.success() {
        bail!("npm could not install the compiler of JavaScript plugins ({status}); is a registry reachable?");
    }
    Ok(())
}

fn version_of(package: &str) -> Option<String> {
    let manifest: Value = serde_json::from_str(PACKAGE).ok()?;
    Some(manifest.get("dependencies")?.get(package)?.as_str()?.to_owned())
}

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("{program} could not be started"))?;
    Ok(String::from_utf8(output.stdout)?)
}

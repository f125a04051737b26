//! Plugins in Python: the author's modules, the SDK and pure packages, run once and put into a component with the interpreter.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{Made, guests, kept, manifest::Manifest, sha256, world};
use crate::root;

pub(super) const HOW_TO_INSTALL: &str = "plugins in Python are made with Python 3.11 or later, with its pip and venv:
  apt-get install python3 python3-venv   (Debian)";

/// The compiler with the digests of its files.
const REQUIREMENTS: &str = include_str!("python/requirements.txt");
/// What the compiler starts: it serves the author's commands.
const ENTRY: &str = include_str!("python/entry.py");
const DESCRIBE: &str = include_str!("python/describe.py");

/// What the compiler calls the interfaces that a request needs.
const HTTP: [&str; 3] = ["outgoing_handler", "wasi_http_types", "streams"];

/// What pyproject.toml says.
pub(super) struct Project {
    pub(super) version: String,
    /// The module that names the commands.
    pub(super) module: String,
    /// The folder of the modules.
    pub(super) source: PathBuf,
    /// Packages beside the SDK, as pip reads them.
    pub(super) dependencies: Vec<String>,
    /// The schema of what an operator sets.
    pub(super) config: Option<Value>,
}

/// The compiler as pip installed it.
pub(super) struct Compiler {
    bin: PathBuf,
    title: String,
}

impl Compiler {
    /// Installs it below the target directory where it is not there yet.
    ///
    /// # Errors
    /// What is missing, and how to install it.
    pub(super) fn ready() -> Result<Self> {
        let pinned = REQUIREMENTS.lines().find_map(|line| line.strip_prefix("componentize-py==")?.split(' ').next());
        let version = pinned.context("requirements.txt names no compiler")?;
        let folder = guests().join("tools").join(format!("py-{version}"));
        let (bin, done) = (folder.join("bin"), folder.join("installed"));
        if !done.exists() {
            install(&folder)?;
            fs::write(done, "")?;
        }
        Ok(Self { bin, title: format!("componentize-py {version}") })
    }

    /// Its name and version, for people and for the component.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// A component, and what `describe` answers.
    ///
    /// # Errors
    /// What pip, the author's module or the compiler says.
    pub(super) fn build(&self, manifest: &Manifest, project: &Project) -> Result<Made> {
        let name = &manifest.name;
        let work = guests().join("python").join(name);
        let capabilities: Vec<&str> = manifest.capabilities.iter().map(String::as_str).collect();
        let world = world::write(&capabilities, &work.join("wit"))?;
        let plugin = json!({"name": name, "version": project.version, "config": project.config});
        let mut imports = vec!["log", "task"];
        imports.extend(capabilities.iter().copied().filter(|capability| *capability != "http"));
        if capabilities.contains(&"http") {
            imports.extend(HTTP);
        }
        if imports.iter().any(|interface| interface.starts_with("kubernetes")) {
            imports.push("kubernetes-types");
        }
        let imports: Vec<String> = imports.iter().map(|interface| interface.replace('-', "_")).collect();
        let entry = ENTRY
            .replace("{{module}}", &project.module)
            .replace("{{plugin}}", &literal(&plugin.to_string()))
            .replace("{{imports}}", &imports.join(", "));
        fs::create_dir_all(work.join("entry"))?;
        fs::write(work.join("entry/claiflow_entry.py"), &entry)?;

        let packages = self.packages(&work, &project.dependencies)?;
        let sdk = root().join("plugins/sdk-py/src");
        let paths = [Some(project.source.clone()), Some(sdk), packages];
        let paths: Vec<PathBuf> = paths.into_iter().flatten().collect();
        let description = self.describe(&project.module, &plugin, &paths)?;
        let mut parts = vec![REQUIREMENTS.to_owned(), world, entry, project.dependencies.join("\n")];
        for folder in paths.iter().take(2) {
            modules(folder, &mut parts)?;
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let component = kept::or_made(&guests().join("python-made"), name, &parts, || {
            let component = work.join("plugin.wasm");
            let mut compiler = Command::new(self.bin.join("componentize-py"));
            compiler.current_dir(&work).args(["--quiet", "--wit-path", "wit", "--world", world::WORLD]);
            // Without a name of its own it would be called otherwise beside the types of WASI's HTTP.
            compiler.args(["--import-interface-name", &format!("{}=claiflow_types", world::TYPES)]);
            compiler.args(["componentize", "claiflow_entry", "--python-path", "entry"]);
            for path in &paths {
                compiler.arg("--python-path").arg(path);
            }
            compiler.arg("--output").arg(&component).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONHASHSEED", "0");
            let status = compiler.status().context("componentize-py could not be started")?;
            if !status.success() {
                bail!("{name} does not compile; what componentize-py says of it stands above");
            }
            Ok(component)
        })?;
        Ok(Made { component, description: Some(description), toolchain: self.title.clone() })
    }

    /// Where pip put the packages that the plugin depends on: those without native code.
    fn packages(&self, work: &Path, dependencies: &[String]) -> Result<Option<PathBuf>> {
        if dependencies.is_empty() {
            return Ok(None);
        }
        let digest = sha256(dependencies.join("\n").as_bytes());
        let folder = work.join(format!("packages-{}", digest.get(..8).unwrap_or_default()));
        let done = folder.join("installed");
        if !done.exists() {
            let mut pip = Command::new(self.bin.join("python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
            pip.args(["--platform", "any", "--target"]).arg(&folder).args(dependencies);
            let status = pip.status().context("pip could not be started")?;
            if !status.success() {
                bail!("pip could not install {} without native code", dependencies.join(", "));
            }
            fs::write(done, "")?;
        }
        Ok(Some(folder))
    }

    fn describe(&self, module: &str, plugin: &Value, paths: &[PathBuf]) -> Result<Value> {
        let file = tempfile::NamedTempFile::new()?;
        let mut python = Command::new(self.bin.join("python"));
        python.args(["-c", DESCRIBE, module, &plugin.to_string()]).arg(file.path());
        python.env("PYTHONPATH", env::join_paths(paths)?).env("PYTHONDONTWRITEBYTECODE", "1");
        let status = python.status().context("python could not be started")?;
        if !status.success() {
            bail!("`{module}` is no module that works; what Python says of it stands above");
        }
        serde_json::from_slice(&fs::read(file.path())?).context("the SDK's description is no JSON")
    }
}

/// By digests, into an environment of its own.
fn install(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    eprintln!("→ installing the compiler of Python plugins (60 MB, once)");
    let status = Command::new("python3").args(["-m", "venv"]).arg(folder).status();
    let status = status.with_context(|| format!("python3 could not be started; {HOW_TO_INSTALL}"))?;
    if !status.success() {
        bail!("python3 could not make an environment; {HOW_TO_INSTALL}");
    }
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]);
    let status = pip.args(["--only-binary=:all:", "-r"]).arg(&requirements).status()?;
    if !status.success() {
        bail!("pip could not install the compiler of Python plugins ({status}); is an index reachable?");
    }
    Ok(())
}

/// All modules below a folder, each with its place, in one order.
fn modules(folder: &Path, parts: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "__pycache__" {
            parts.push(name);
            modules(&path, parts)?;
        } else if name.ends_with(".py") {
            parts.push(name);
            parts.push(fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?);
        }
    }
    Ok(())
}

/// `text` as a literal of Python: JSON's escapes are Python's too.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

/// Runs the tests of a project in `folder` with the checkout's SDK.
pub(crate) fn unittest(folder: &Path) -> Command {
    let mut python = Command::new("python3");
    let sdk = root().join("plugins/sdk-py/src");
    // A separator cannot be in a path that pip and venv work with.
    let paths = env::join_paths([sdk, folder.join("src")]).unwrap_or_default();
    python.env("PYTHONPATH", paths).env("PYTHONDONTWRITEBYTECODE", "1");
    python.args(["-m", "unittest", "discover", "-s"]).arg(folder.join("tests"));
    python
}

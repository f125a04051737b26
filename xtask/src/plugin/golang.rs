//! Plugins in Go: a core module of Go's own toolchain, put into a component with what turns WASI 0.1 into WASI 0.2.

mod arena;
mod encode;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{
    Made, guests,
    manifest::{CAPABILITIES, Manifest},
    world,
};
use crate::root;

const HOW_TO_INSTALL: &str =
    "plugins in Go are made with Go 1.24 or later, https://go.dev/dl; any later 1.21 fetches it by itself";

/// What `go build` and `go run` see beside the author's files: the last of them by its name, so that it runs when all commands are there.
const ENTRY_FILE: &str = "zzzzzzzz_claiflow.go";
const ENTRY: &str = include_str!("golang/entry.go.txt");
const DESCRIBE: &str = include_str!("golang/describe.go.txt");

/// What claiflow.json says.
pub(super) struct Module {
    pub(super) version: String,
    /// The folder of go.mod and of the package `main`, absolute.
    pub(super) folder: PathBuf,
    /// The schema of what an operator sets.
    pub(super) config: Option<Value>,
}

/// Go's toolchain.
pub(super) struct Compiler {
    /// Such as 1.26.8: not older than what go.mod wants.
    version: String,
    title: String,
}

impl Compiler {
    /// The one for a module: Go fetches a later one than is installed where go.mod names it.
    ///
    /// # Errors
    /// What is missing, and how to install it.
    pub(super) fn ready(folder: &Path) -> Result<Self> {
        let output = Command::new("go").current_dir(folder).args(["env", "GOVERSION"]).output();
        let output = output.with_context(|| format!("go could not be started; {HOW_TO_INSTALL}"))?;
        if !output.status.success() {
            bail!("go says: {}; {HOW_TO_INSTALL}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        // Behind the version can stand what it was built with.
        let said = String::from_utf8_lossy(&output.stdout);
        let version = said.split_whitespace().next().unwrap_or_default().trim_start_matches("go").to_owned();
        Ok(Self { title: format!("go {version}"), version })
    }

    /// Its name and version, for people and for the component.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// A component, and what `describe` answers.
    ///
    /// # Errors
    /// What Go says of the author's package, or why it is no plugin.
    pub(super) fn build(&self, manifest: &Manifest, module: &Module) -> Result<Made> {
        let name = &manifest.name;
        let work = guests().join("golang").join(name);
        let about = json!({"name": name, "version": module.version, "config": module.config}).to_string();
        let description = self.describe(name, module, &work, &about)?;
        let linked = work.join("plugin.wasm");
        let mut go = go("build", &self.version, module, &work, &ENTRY.replace("{{about}}", &literal(&about)))?;
        go.args(["-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-buildid=", "-o"])
            .arg(&linked)
            .arg(".");
        let status = go.env("GOOS", "wasip1").env("GOARCH", "wasm").env("CGO_ENABLED", "0").status()?;
        if !status.success() {
            bail!("{name} does not compile; what go says of it stands above");
        }
        let linked = fs::read(&linked).with_context(|| format!("{} was not made", linked.display()))?;
        let wit = work.join("wit");
        // Go imports what a plugin calls: the manifest is checked against that.
        world::write(&CAPABILITIES, &wit)?;
        let linked = arena::with_realloc(&linked)
            .with_context(|| format!("{name} does not use the SDK of this checkout, `claiflow`"))?;
        let component = encode::component(&linked, &wit).with_context(|| format!("{name} is no component"))?;
        Ok(Made { component, description: Some(description), toolchain: self.title.clone() })
    }

    /// What `describe` answers: the commands of the package as it runs on this machine.
    fn describe(&self, name: &str, module: &Module, work: &Path, about: &str) -> Result<Value> {
        let file = work.join("description.json");
        let entry =
            DESCRIBE.replace("{{about}}", &literal(about)).replace("{{file}}", &literal(&file.display().to_string()));
        if file.exists() {
            fs::remove_file(&file).with_context(|| format!("{} cannot be removed", file.display()))?;
        }
        let mut go = go("run", &self.version, module, work, &entry)?;
        let status = go.arg(".").env_remove("GOOS").env_remove("GOARCH").status()?;
        if !status.success() {
            bail!("{name} is no plugin that works; what go says of it stands above");
        }
        let text = fs::read(&file).with_context(|| format!("{name} serves no commands in its package `main`"))?;
        serde_json::from_slice(&text).context("the SDK's description is no JSON")
    }
}

/// `go VERB` in the module's folder, with `entry` among the files of its package.
fn go(verb: &str, version: &str, module: &Module, work: &Path, entry: &str) -> Result<Command> {
    let folder = work.join(verb);
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let (file, overlay) = (folder.join(ENTRY_FILE), folder.join("overlay.json"));
    fs::write(&file, entry)?;
    let replaced = json!({"Replace": {module.folder.join(ENTRY_FILE).display().to_string(): file}});
    fs::write(&overlay, replaced.to_string())?;
    // In a workspace, the SDK is that of this checkout, and where it lies is not written into the component.
    let workspace = folder.join("go.work");
    let used = [&module.folder, &root().join("plugins/sdk-go")].map(|folder| literal(&folder.display().to_string()));
    fs::write(&workspace, format!("go {version}\n\nuse (\n\t{}\n)\n", used.join("\n\t")))?;
    let mut go = Command::new("go");
    go.current_dir(&module.folder).env("GOWORK", workspace).arg(verb).arg("-overlay").arg(&overlay);
    Ok(go)
}

/// `text` as a literal of Go: JSON's escapes are Go's too, but for that of a slash, which is never written.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

/// Runs the tests of a module with the checkout's SDK.
pub(crate) fn test(folder: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(folder).args(["test", "./..."]);
    go
}

#[cfg(test)]
mod tests {
    use super::{HOW_TO_INSTALL, Module, go, literal};
    use std::fs;

    #[test]
    fn what_the_manifest_says_is_a_file_beside_the_authors() {
        let work = tempfile::tempdir().unwrap();
        let module = Module { version: "1.0.0".into(), folder: work.path().join("mine"), config: None };
        fs::create_dir(&module.folder).unwrap();
        let said = go("build", "1.26.8", &module, work.path(), "package main").unwrap();
        assert_eq!(said.get_current_dir(), Some(module.folder.as_path()));
        let overlay = fs::read_to_string(work.path().join("build/overlay.json")).unwrap();
        assert!(
            overlay.contains("mine/zzzzzzzz_claiflow.go") && overlay.contains("build/zzzzzzzz_claiflow.go"),
            "{overlay}"
        );
        let workspace = fs::read_to_string(work.path().join("build/go.work")).unwrap();
        assert!(workspace.starts_with("go 1.26.8\n") && workspace.contains("plugins/sdk-go\""), "{workspace}");
        assert_eq!(fs::read_dir(&module.folder).unwrap().count(), 0, "nothing is left in the author's folder");
        assert_eq!(literal("a\"b\n"), r#""a\"b\n""#);
        assert!(HOW_TO_INSTALL.contains("1.24"));
    }
}

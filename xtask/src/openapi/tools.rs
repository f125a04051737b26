//! The programs that read the document, from their registries by digest, below the target directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{plugin::sha256, root, target};

/// Where the clients' own files stand.
pub(super) fn clients() -> PathBuf {
    root().join("xtask/clients")
}

/// The folder of Python's programs: schemathesis, and the maker of a client with what it needs to run.
///
/// # Errors
/// What is missing, or what pip says.
pub(super) fn python() -> Result<PathBuf> {
    let folder = installed("python", "requirements.txt", |folder, requirements| {
        ran(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]);
        ran(pip.args(["--only-binary=:all:", "-r"]).arg(requirements))
    })?;
    Ok(folder.join("bin"))
}

/// A folder with TypeScript's compiler and the maker of a client.
///
/// # Errors
/// What is missing, or what npm says.
pub(super) fn typescript() -> Result<PathBuf> {
    installed("typescript", "package-lock.json", |folder, lock| {
        fs::create_dir_all(folder)?;
        for file in [lock, &lock.with_file_name("package.json")] {
            fs::copy(file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        let mut npm = Command::new("npm");
        ran(npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]))
    })
}

/// Installs what `lock` says, once for each text of it.
fn installed(language: &str, lock: &str, install: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<PathBuf> {
    let lock = clients().join(language).join(lock);
    let text = fs::read(&lock).with_context(|| format!("{} cannot be read", lock.display()))?;
    let digest = sha256(&text);
    let folder = target().join("clients").join(format!("{language}-{}", digest.get(..12).unwrap_or_default()));
    let done = folder.join("installed");
    if !done.exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        eprintln!("→ installing what reads the OpenAPI document in {language} (once)");
        install(&folder, &lock)?;
        fs::write(done, "")?;
    }
    Ok(folder)
}

/// Runs a command to its end; what it said is the error where it fails, and the answer otherwise.
pub(super) fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?} could not be started"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{command:?} ended with {}:\n{}", output.status, said.trim_end());
    }
    Ok(said)
}

fn ran(command: &mut Command) -> Result<()> {
    said(command).map(drop)
}

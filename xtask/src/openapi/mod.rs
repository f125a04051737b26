//! The OpenAPI document: made from the server, and taken at its word.

mod clients;
mod schemathesis;
mod tools;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{cluster_of_two::Built, database::MariaDb, process::shown, root, target};

/// The first admin's token on the servers of these tests.
const TOKEN: &str = "claiflow_of-the-tests-of-the-document-0123456789";

/// A server that wants to know who calls, and lets a busy caller call.
fn with_token() -> String {
    format!(
        "auth:\n  mode: token\n  bootstrapToken: {TOKEN}\nhttp:\n  rateLimit:\n    perSecond: 1000000\n    burst: 1000000\n"
    )
}

/// `cargo xtask openapi`: writes the committed document.
pub(crate) fn write() -> Result<()> {
    shown(crate::process::cargo().current_dir(root()).args(["build", "--workspace"]))?;
    let file = root().join("host-server/openapi.json");
    fs::write(&file, document(&target().join("debug/claiflow-server"))?)?;
    println!("{}", file.display());
    Ok(())
}

/// What a server prints of itself.
fn document(program: &Path) -> Result<Vec<u8>> {
    let output = Command::new(program)
        .arg("openapi")
        .output()
        .with_context(|| format!("{} could not be started", program.display()))?;
    if !output.status.success() {
        bail!("{} openapi: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// What the document promises; which promises held.
pub(crate) fn run(built: &Built, directory: &Path, database: Option<&MariaDb>) -> Vec<(&'static str, Result<()>)> {
    let file = directory.join("openapi.json");
    let written = fs::create_dir_all(directory)
        .map_err(Into::into)
        .and_then(|()| document(&built.program("claiflow-server")))
        .and_then(|document| Ok(fs::write(&file, document)?));
    if let Err(error) = written {
        return vec![("the server prints its document", Err(error))];
    }
    let home = |name: &str| -> Result<PathBuf> {
        let home = directory.join(name);
        fs::create_dir_all(&home)?;
        Ok(home)
    };
    let mut outcomes = vec![
        (
            "a client in Python, made from the document, walks README's walk",
            home("python").and_then(|home| clients::in_python(built, &home, &file)),
        ),
        (
            "a client in TypeScript, made from the document, compiles and walks README's walk",
            home("typescript").and_then(|home| clients::in_typescript(built, &home, &file)),
        ),
        (
            "schemathesis finds no answer on SQLite that the document does not name",
            home("sqlite").and_then(|home| schemathesis::run(built, &home, &file, None)),
        ),
    ];
    if let Some(database) = database {
        outcomes.push((
            "schemathesis finds no answer on MariaDB that the document does not name",
            home("mariadb").and_then(|home| schemathesis::run(built, &home, &file, Some(database))),
        ));
    }
    for (name, outcome) in &outcomes {
        eprintln!("  {} {name}", if outcome.is_ok() { "ok  " } else { "FAIL" });
    }
    outcomes
}

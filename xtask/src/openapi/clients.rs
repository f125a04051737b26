//! Clients that are made from the document and run README's walk: proof that the document says what the server does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::tools::{clients, python, said, typescript};
use crate::cluster_of_two::{Built, Pair};

/// What the client for Python is called.
const PACKAGE: &str = "claiflow_client";

/// Makes a client of `document` in Python and walks with it.
pub(super) fn in_python(built: &Built, home: &Path, document: &Path) -> Result<()> {
    let programs = python()?;
    let mut make = Command::new(programs.join("openapi-python-client"));
    make.args(["generate", "--overwrite", "--fail-on-warning", "--meta", "none", "--path"]).arg(document);
    make.arg("--config").arg(clients().join("python/maker.yaml"));
    // It tidies what it makes with ruff, which stands beside it.
    let path =
        std::env::join_paths([&programs, Path::new("/usr/local/bin"), Path::new("/usr/bin"), Path::new("/bin")])?;
    said(make.arg("--output-path").arg(home.join(PACKAGE)).env("PATH", path))?;
    walk(built, home, || {
        let mut python = Command::new(programs.join("python"));
        python.arg("-B").arg(clients().join("python/walk.py")).env("PYTHONPATH", home);
        python
    })
}

/// Makes types of `document` in TypeScript, compiles a walk against them, and walks.
pub(super) fn in_typescript(built: &Built, home: &Path, document: &Path) -> Result<()> {
    let folder = typescript()?;
    let bin = |name: &str| folder.join("node_modules/.bin").join(name);
    for file in ["walk.ts", "tsconfig.json", "package.json"] {
        fs::copy(clients().join("typescript").join(file), home.join(file))?;
    }
    std::os::unix::fs::symlink(folder.join("node_modules"), home.join("node_modules"))?;
    said(Command::new(bin("openapi-typescript")).current_dir(home).arg(document).args(["-o", "schema.d.ts"]))?;
    said(Command::new(bin("tsc")).current_dir(home))?;
    walk(built, home, || {
        let mut node = Command::new("node");
        node.current_dir(home).arg("made/walk.js");
        node
    })
}

/// As README tells it: the agent is started once its cluster, token and templates are declared.
fn walk(built: &Built, home: &Path, client: impl Fn() -> Command) -> Result<()> {
    let directory: PathBuf = home.join("hosts");
    fs::create_dir_all(&directory)?;
    let mut pair = Pair::start_with(built, &directory, super::with_token(), (0, 0))?;
    let base = pair.base();
    said(client().args([&base, super::TOKEN, "declare"]))?;
    pair.start_agent()?;
    said(client().args([&base, super::TOKEN, "run"])).map(drop)
}

//! The SDKs of other languages than Rust, and the example in each of them.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{plugin, root};

/// Builds the examples and the probes into `directory`, apart from those in Rust: they serve the same commands.
pub(crate) fn build(directory: &Path) -> Result<()> {
    let folders = ["example-js", "example-py", "example-go", "probe-js", "probe-py", "probe-go"]
        .map(|name| root().join("plugins").join(name));
    plugin::build(&folders, directory).map(drop)
}

/// Runs the tests of the SDKs and of the examples; what each promises, and whether it held.
pub(crate) fn run(directory: &Path) -> Vec<(&'static str, Result<()>)> {
    let plugins = root().join("plugins");
    let mut node = Command::new("node");
    node.current_dir(plugins.join("sdk-js")).args(["--test", "test/"]);
    let sdk = plugins.join("sdk-py");
    vec![
        ("the SDK for JavaScript", quiet(&mut node)),
        ("the example in JavaScript", example_js(&plugins, directory)),
        ("the SDK for Python", quiet(&mut plugin::unittest(&sdk))),
        ("the example in Python", quiet(&mut plugin::unittest(&plugins.join("example-py")))),
        ("the SDK for Go", quiet(&mut plugin::go_test(&plugins.join("sdk-go")))),
        ("the example in Go", quiet(&mut plugin::go_test(&plugins.join("example-go")))),
    ]
}

/// As an author does it, in a copy: npm leaves its folder beside the package.
fn example_js(plugins: &Path, directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut copy = Command::new("cp");
    copy.arg("-r").args(["sdk-js", "example-js"].map(|name| plugins.join(name))).arg(directory);
    quiet(&mut copy)?;
    let package = directory.join("example-js");
    let mut npm = Command::new("npm");
    quiet(npm.current_dir(&package).args(["install", "--offline", "--no-audit", "--no-fund"]))?;
    let mut npm = Command::new("npm");
    quiet(npm.current_dir(&package).arg("test"))
}

/// Runs a command to its end; what it says is shown where it fails.
fn quiet(command: &mut Command) -> Result<()> {
    eprintln!("→ {command:?}");
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{command:?} could not be started"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}:\n{}", output.status, said.trim_end());
    }
    Ok(())
}

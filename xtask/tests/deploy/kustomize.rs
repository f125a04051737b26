//! The real kustomize: `KUSTOMIZE_BIN`, or built once from its Go module into the user's cache.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::root;

/// The last version that Go 1.19, which Debian 12 has, can build.
const MODULE: &str = "sigs.k8s.io/kustomize/kustomize/v5@v5.0.3";

/// None where it cannot be had: said loudly, and a failure where `CLAIFLOW_STRICT=1` asks for one.
pub(super) fn program() -> Option<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match FOUND.get_or_init(find) {
        Ok(program) => Some(program.clone()),
        Err(reason) => {
            assert_ne!(env::var("CLAIFLOW_STRICT").as_deref(), Ok("1"), "no kustomize: {reason}");
            eprintln!("SKIPPED: the manifests were not rendered: {reason}");
            None
        }
    }
}

fn find() -> Result<PathBuf, String> {
    if let Some(program) = env::var_os("KUSTOMIZE_BIN") {
        return Ok(program.into());
    }
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).ok_or("HOME is not set")?;
    let (_, version) = MODULE.split_once('@').unwrap_or_default();
    let folder = cache.join("claiflow").join(format!("kustomize-{version}"));
    let program = folder.join("kustomize");
    if !program.exists() {
        install(&folder, &program)?;
    }
    Ok(program)
}

/// Another test run may do the same at this moment: the program appears only when it is whole.
fn install(folder: &Path, program: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    let building = tempfile::tempdir_in(folder).map_err(failed)?;
    let mut go = Command::new("go");
    go.args(["install", MODULE]).env("GOBIN", building.path()).env("CGO_ENABLED", "0").env_remove("GOFLAGS");
    let output =
        go.output().map_err(|error| format!("go: {error}; `apt-get install golang-go`, or set KUSTOMIZE_BIN"))?;
    if !output.status.success() {
        return Err(format!("go install {MODULE}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    fs::rename(building.path().join("kustomize"), program).map_err(failed)
}

/// What a base of `deploy/kubernetes` renders to.
pub(super) fn build(program: &Path, base: &str) -> String {
    let output = Command::new(program).arg("build").arg(root().join("deploy/kubernetes").join(base)).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(output.status.success(), "{base}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

//! The programs of a control plane: found where `KUBEBUILDER_ASSETS` says, or built once from their Go modules into a cache.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::root;

/// What `k8s.io/kubernetes` of the module is; charts ask the API server for it.
const KUBERNETES: (&str, &str, &str) = ("v1.34.2", "1", "34");
/// It has a module of its own: its requirements do not fit those of Kubernetes.
const KWOK: &str = "sigs.k8s.io/kwok@v0.8.0";
/// The source of the program that answers exec and logs of pods.
const PODS: [&str; 3] = ["main.go", "commands.go", "files.go"];
/// The longest last, so that what is wrong shows early.
const BUILT: [&str; 5] = ["etcd", "kubectl", "kube-scheduler", "kube-controller-manager", "kube-apiserver"];
/// Of kwok's module: its definitions, and what it does to nodes and pods.
const KWOK_FOLDERS: [&str; 4] =
    ["kustomize/crd/bases", "kustomize/stage/pod/fast", "kustomize/stage/node/fast", "kustomize/stage/node/heartbeat"];

/// Where each program is.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    cache: PathBuf,
    assets: Option<PathBuf>,
    pods_source: String,
}

impl Programs {
    /// Finds them, and builds those that are nowhere: minutes, once.
    ///
    /// # Errors
    /// Which program could not be built, and what is missing for it.
    pub(crate) fn ready() -> Result<Self> {
        let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let programs = Self { cache: cache()?, assets, pods_source: pods_source()? };
        let missing: Vec<_> = BUILT.into_iter().filter(|name| !programs.path(name).is_file()).collect();
        let lacks_kwok = !programs.path("kwok").is_file() || !programs.kwok_folder(KWOK_FOLDERS[0]).is_dir();
        let lacks_pods = !programs.pods().is_file();
        let total = missing.len() + usize::from(lacks_kwok) + usize::from(lacks_pods);
        if total > 0 {
            go_is_there()?;
            eprintln!("→ building {total} programs of a control plane into {}, once", programs.cache.display());
        }
        fs::create_dir_all(programs.cache.join("bin"))?;
        for (index, name) in missing.iter().enumerate() {
            step(index + 1, total, name, || programs.build(name, &programs.path(name)))?;
        }
        if lacks_pods {
            step(missing.len() + 1, total, "pods", || programs.build("pods", &programs.pods()))?;
        }
        if lacks_kwok {
            step(total, total, "kwok", || programs.build_kwok())?;
        }
        Ok(programs)
    }

    /// A program's file, whether it is there or not.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let given = self.assets.as_ref().map(|assets| assets.join(name)).filter(|file| file.is_file());
        given.unwrap_or_else(|| self.cache.join("bin").join(name))
    }

    /// Where the program is that answers exec and logs, in the state of its source.
    pub(super) fn pods(&self) -> PathBuf {
        self.cache.join("bin").join(format!("pods-{}", self.pods_source))
    }

    /// The files of one of kwok's folders, in the order of their names.
    pub(super) fn kwok_files(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let folder = self.kwok_folder(folder);
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.retain(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".yaml") && name != "kustomization.yaml"
        });
        files.sort();
        Ok(files)
    }

    /// The stages that a cluster's nodes and pods go through.
    pub(super) fn stages(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for folder in KWOK_FOLDERS.iter().skip(1) {
            files.extend(self.kwok_files(folder)?);
        }
        Ok(files)
    }

    /// kwok's own kinds.
    pub(super) fn definitions(&self) -> Result<Vec<PathBuf>> {
        self.kwok_files(KWOK_FOLDERS[0])
    }

    fn kwok_folder(&self, folder: &str) -> PathBuf {
        self.cache.join("kwok").join(folder)
    }

    /// Builds one of the module's programs as `file`.
    fn build(&self, name: &str, file: &Path) -> Result<()> {
        let (version, major, minor) = KUBERNETES;
        let package = "k8s.io/component-base/version";
        let flags = format!(
            "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
        );
        // Whole or not at all: a build that is stopped leaves no program.
        let part = file.with_extension("part");
        let mut go = self.go();
        go.current_dir(root().join("xtask/control-plane")).args(["build", "-trimpath", "-ldflags", &flags, "-o"]);
        built(go.arg(&part).arg(format!("./cmd/{name}")), name)?;
        Ok(fs::rename(&part, file)?)
    }

    fn build_kwok(&self) -> Result<()> {
        let bin = self.cache.join("bin");
        let mut go = self.go();
        go.env("GOBIN", &bin).args(["install", "-trimpath", "-ldflags", "-s -w"]);
        built(go.arg(format!("{}/cmd/kwok@{}", KWOK.split('@').next().unwrap_or_default(), version_of(KWOK))), "kwok")?;
        let output = self.go().args(["mod", "download", "-json", KWOK]).output()?;
        let module: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let module = Path::new(module["Dir"].as_str().context("go names no folder of kwok's module")?);
        for folder in KWOK_FOLDERS {
            let there = self.kwok_folder(folder);
            fs::create_dir_all(&there)?;
            for entry in fs::read_dir(module.join(folder))? {
                let entry = entry?;
                if !entry.file_type()?.is_file() {
                    continue;
                }
                fs::write(there.join(entry.file_name()), fs::read(entry.path())?)?;
            }
        }
        Ok(())
    }

    fn go(&self) -> Command {
        let mut go = Command::new("go");
        // Outside of the module, where kwok is installed, a workspace of the caller has no meaning.
        go.env("CGO_ENABLED", "0").env("GOWORK", "off").current_dir(&self.cache);
        go
    }
}

fn version_of(module: &str) -> &str {
    module.split('@').nth(1).unwrap_or_default()
}

/// The cache of these programs, in these versions.
fn cache() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME says where a cache may be")?;
    let sums = root().join("xtask/control-plane/go.sum");
    let module = fs::read(&sums).with_context(|| sums.display().to_string())?;
    let hash = short_hash([&module[..], KWOK.as_bytes()]);
    let cache = base.join("claiflow/control-plane").join(format!("{}-{hash}", KUBERNETES.0));
    fs::create_dir_all(&cache)?;
    Ok(cache)
}

fn short_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    parts.into_iter().for_each(|part| hash.update(part));
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn pods_source() -> Result<String> {
    let folder = root().join("xtask/control-plane/cmd/pods");
    let sources: Vec<Vec<u8>> = PODS.iter().map(|name| Ok(fs::read(folder.join(name))?)).collect::<Result<_>>()?;
    Ok(short_hash(sources.iter().map(Vec::as_slice)))
}

fn go_is_there() -> Result<()> {
    let advice = "install Go 1.24 or later (https://go.dev/dl, or Debian's golang-1.24-go from backports), or let KUBEBUILDER_ASSETS name \
                  a folder with etcd, kube-apiserver and kubectl";
    let output = Command::new("go").arg("version").output().with_context(|| format!("go is missing: {advice}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let minor = said.split("go1.").nth(1).and_then(|rest| rest.split(['.', ' ']).next()?.parse::<u32>().ok());
    // From 1.21 on, go fetches the toolchain that a module asks for.
    ensure!(minor.is_some_and(|minor| minor >= 21), "go is too old ({}): {advice}", said.trim());
    Ok(())
}

fn step(number: usize, total: usize, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("  [{number}/{total}] {name} …");
    let began = Instant::now();
    work()?;
    eprintln!("  [{number}/{total}] {name}: {} s", began.elapsed().as_secs());
    Ok(())
}

fn built(command: &mut Command, name: &str) -> Result<()> {
    let status = command.status().context("go could not be started")?;
    if !status.success() {
        bail!("{name} could not be built; what go says of it stands above");
    }
    Ok(())
}

//! Tools of plugin authors: `new-plugin` makes a folder, `build-plugin` makes its component, in each of the languages, `dev-plugin`
//! does it at each save.

mod component;
mod configmap;
mod dev;
mod golang;
mod javascript;
mod kept;
mod manifest;
mod oci;
mod python;
mod report;
mod rust;
mod scaffold;
mod sign;
#[cfg(test)]
mod tests;
mod toolchain;
mod world;

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::{root, target};

use component::{Component, Description};
pub(crate) use dev::DevPlugin;
pub(crate) use golang::test as go_test;
use manifest::{Manifest, Source};
pub(crate) use oci::Archives;
pub(crate) use python::unittest;
pub(crate) use scaffold::NewPlugin;
use toolchain::Choice;

/// An agent reads no larger file.
const FILE_MAX_BYTES: usize = 64 << 20;

/// See [`crate::Task::BuildPlugin`].
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask build-plugin plugins/example
  cargo xtask build-plugin plugins/example-js plugins/example-py
  cargo xtask build-plugin ../restart-tool --out plugins/dist --configmap
  cargo xtask build-plugin ../restart-tool --oci
  cargo xtask build-plugin ../restart-tool --sign release.pem")]
pub(crate) struct BuildPlugin {
    /// Folders of plugins, in this repository or anywhere else: with a Cargo.toml, a package.json, a pyproject.toml or a go.mod.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Where the components go.
    #[arg(long, default_value = "plugins/dist")]
    out: PathBuf,
    /// Also write a manifest beside each component: one ConfigMap, or as many as it takes.
    #[arg(long)]
    configmap: bool,
    /// The namespace of that ConfigMap: the agent's.
    #[arg(long, default_value = "claiflowclient", requires = "configmap")]
    namespace: String,
    /// Also write two archives for registries beside each component: an OCI artifact that agents pull by its digest, and an image for
    /// image volumes.
    #[arg(long)]
    oci: bool,
    /// The contract of the oldest agent that shall load the plugin.
    #[arg(long, default_value = component::CONTRACT, value_parser = component::contract)]
    contract: String,
    /// Sign each component with this Ed25519 key, a PEM file; several keys sign in turn.
    #[arg(long, value_name = "KEY.pem")]
    sign: Vec<PathBuf>,
    /// What compiles plugins in Rust.
    #[arg(long, value_enum, default_value_t = Choice::Auto)]
    toolchain: Choice,
}

impl BuildPlugin {
    pub(crate) fn run(self) -> Result<()> {
        for built in components(&self.paths, &self.out, self.toolchain)? {
            component::fits(&built.imports, &self.contract).with_context(|| format!("{} is too new", built.name))?;
            let keys = sign::sign(&built, &self.sign)?;
            let manifest = match self.configmap {
                true => Some(configmap::write(&built.name, &self.namespace, &built.file)?),
                false => None,
            };
            let archives = if self.oci { Some(oci::write(&built)?) } else { None };
            print!("{}", report::text(&built, &keys, manifest.as_ref(), archives.as_ref())?);
        }
        Ok(())
    }
}

/// A plugin that was built and checked.
struct Built {
    name: String,
    file: PathBuf,
    /// The same component with its names and line tables.
    debug: PathBuf,
    imports: Vec<String>,
    /// None: the crate does not use the SDK, which writes it.
    description: Option<Description>,
    toolchain: String,
}

/// What a compiler gives.
struct Made {
    /// A component, or a core module that can be one.
    component: Vec<u8>,
    /// What `describe` answers, where no section of the component says it.
    description: Option<serde_json::Value>,
    toolchain: String,
}

/// A compiler that is there, and what it compiles.
enum Compiler {
    Rust(rust::Compiler),
    JavaScript(javascript::Compiler, javascript::Package),
    Python(python::Compiler, python::Project),
    Go(golang::Compiler, golang::Module),
}

impl Compiler {
    /// # Errors
    /// What is missing, and how to install it.
    fn find(source: Source, choice: Choice) -> Result<Self> {
        Ok(match source {
            Source::Rust { artifact } => Self::Rust(rust::Compiler::find(artifact, choice)?),
            Source::JavaScript(package) => Self::JavaScript(javascript::Compiler::ready()?, package),
            Source::Python(project) => Self::Python(python::Compiler::ready()?, project),
            Source::Go(module) => Self::Go(golang::Compiler::ready(&module.folder)?, module),
        })
    }

    fn title(&self) -> &str {
        match self {
            Self::Rust(compiler) => compiler.title(),
            Self::JavaScript(compiler, _) => compiler.title(),
            Self::Python(compiler, _) => compiler.title(),
            Self::Go(compiler, _) => compiler.title(),
        }
    }

    fn build(&self, manifest: &Manifest) -> Result<Made> {
        match self {
            Self::Rust(compiler) => compiler.build(manifest),
            Self::JavaScript(compiler, package) => compiler.build(manifest, package),
            Self::Python(compiler, project) => compiler.build(manifest, project),
            Self::Go(compiler, module) => compiler.build(manifest, module),
        }
    }
}

/// Builds each plugin; answers names and component files.
pub(crate) fn build(paths: &[PathBuf], out: &Path) -> Result<Vec<(String, PathBuf)>> {
    let built = components(paths, out, Choice::Auto)?;
    Ok(built.into_iter().map(|built| (built.name, built.file)).collect())
}

/// Builds a plugin and its archives for registries.
pub(crate) fn archives(path: &Path, out: &Path) -> Result<Archives> {
    let built = components(&[path.to_owned()], out, Choice::Auto)?;
    oci::write(built.first().context("nothing was built")?)
}

fn components(paths: &[PathBuf], out: &Path, choice: Choice) -> Result<Vec<Built>> {
    // What is wrong with a plugin's manifest is said before anything is installed or compiled.
    let plugins = paths.iter().map(|path| Manifest::read(path)).collect::<Result<Vec<_>>>()?;
    let ready = |(manifest, source)| Ok((manifest, Compiler::find(source, choice)?));
    let plugins = plugins.into_iter().map(ready).collect::<Result<Vec<_>>>()?;
    plugins.iter().map(|(manifest, compiler)| one(manifest, compiler, out)).collect()
}

fn one(manifest: &Manifest, compiler: &Compiler, out: &Path) -> Result<Built> {
    let name = &manifest.name;
    eprintln!("→ building {name} with {}", compiler.title());
    let made = compiler.build(manifest)?;
    let mut component = Component::of(&made.component).with_context(|| format!("{name} is no component"))?;
    if let Some(description) = &made.description {
        component = component.describing(description)?;
    }
    let component = component.made_by(&made.toolchain)?;
    let stripped = component.stripped()?;
    let imports = stripped.check().with_context(|| format!("{name} is no plugin"))?;
    manifest.check(&report::capabilities(&imports)).with_context(|| format!("{name} asks for more than it says"))?;
    let description = stripped.description().with_context(|| format!("{name}: the section of its SDK"))?;
    if let Some(description) = &description {
        description.check(name)?;
    }
    let bytes = stripped.bytes();
    if bytes.len() > FILE_MAX_BYTES {
        bail!("{name} has {} bytes, and an agent reads at most {FILE_MAX_BYTES}: embed less data", bytes.len());
    }
    // Not beside each other: an agent takes every `*.wasm` of its directory for a plugin.
    let (file, debug) = (out.join(format!("{name}.wasm")), out.join("debug").join(format!("{name}.debug.wasm")));
    place(&debug, component.bytes())?;
    place(&file, bytes)?;
    Ok(Built { name: name.clone(), file, debug, imports, description, toolchain: made.toolchain })
}

/// Where plugins are built: apart from the programs, so that neither waits for the other.
fn guests() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("plugins/target"), |_| target().join("plugins"))
}

/// Writes a file whole or not at all: an agent may be watching the directory.
fn place(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    let aside = path.with_extension("wasm.part");
    fs::write(&aside, bytes).with_context(|| format!("{} cannot be written", aside.display()))?;
    fs::rename(&aside, path).with_context(|| format!("{} cannot be written", path.display()))
}

/// Lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A DNS label: it names a file, a grant and a ConfigMap.
fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

//! `build-plugin`: a component of each plugin crate, by the first toolchain of the ladder that is there.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use wit_component::ComponentEncoder;

use crate::{process::shown, root, target};

/// What an object of Kubernetes may hold.
const CONFIGMAP_BYTES: usize = 1 << 20;

/// See [`crate::Task::BuildPlugin`].
#[derive(clap::Args)]
pub(crate) struct BuildPlugin {
    /// Folders of plugin crates.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Where the components go.
    #[arg(long, default_value = "plugins/dist")]
    out: PathBuf,
    /// Also write a ConfigMap manifest beside each component.
    #[arg(long)]
    configmap: bool,
}

impl BuildPlugin {
    pub(crate) fn run(self) -> Result<()> {
        for (name, file) in build(&self.paths, &self.out)? {
            let bytes = fs::read(&file)?;
            println!(
                "{name}\n  file    {}\n  size    {} bytes\n  sha256  {}",
                file.display(),
                bytes.len(),
                hex(&Sha256::digest(&bytes))
            );
            if self.configmap {
                let manifest = configmap(&name, &bytes)?;
                let path = file.with_extension("configmap.json");
                fs::write(&path, manifest)?;
                println!("  mount   kubectl apply --server-side -f {}", path.display());
            }
        }
        Ok(())
    }
}

/// Builds each crate; answers names and component files.
pub(crate) fn build(paths: &[PathBuf], out: &Path) -> Result<Vec<(String, PathBuf)>> {
    fs::create_dir_all(out)?;
    let guests =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("plugins/target"), |_| target().join("plugins"));
    let toolchain = Toolchain::find()?;
    let mut built = Vec::new();
    for path in paths {
        let manifest = path.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).with_context(|| format!("{}: not a plugin crate", path.display()))?;
        let package =
            value(&text, "[package]", "name").with_context(|| format!("{}: no package name", manifest.display()))?;
        let name = value(&text, "[package.metadata.claiflow]", "name").with_context(|| {
            format!("{}: add `[package.metadata.claiflow]` with `name = \"…\"`", manifest.display())
        })?;
        shown(toolchain.command().arg("--manifest-path").arg(&manifest).env("CARGO_TARGET_DIR", &guests))?;
        let core = guests.join(toolchain.target()).join("release").join(format!("{}.wasm", package.replace('-', "_")));
        let module = fs::read(&core).with_context(|| format!("{} was not built", core.display()))?;
        let component = match toolchain {
            Toolchain::Wasip2 => module,
            Toolchain::Debian { .. } => ComponentEncoder::default()
                .module(&module)?
                .validate(true)
                .encode()
                .with_context(|| format!("{name}: not a component"))?,
        };
        let file = out.join(format!("{name}.wasm"));
        fs::write(&file, component)?;
        built.push((name, file));
    }
    Ok(built)
}

/// What compiles Rust guests here.
enum Toolchain {
    /// rustup's own target, which makes components by itself.
    Wasip2,
    /// Debian's `rustc-web`, with the standard library built from source.
    Debian { linker: PathBuf },
}

impl Toolchain {
    fn find() -> Result<Self> {
        let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output()?;
        let lib = PathBuf::from(String::from_utf8(sysroot.stdout)?.trim()).join("lib/rustlib");
        if lib.join("wasm32-wasip2").is_dir() {
            return Ok(Self::Wasip2);
        }
        let linker = lib.join("x86_64-unknown-linux-gnu/bin/rust-lld");
        let debian = ["/usr/bin/rustc", "/usr/bin/cargo"].iter().all(|file| Path::new(file).exists());
        if debian && linker.exists() {
            return Ok(Self::Debian { linker });
        }
        bail!(
            "no toolchain for plugins: run `rustup target add wasm32-wasip2`, or on Debian `apt-get install rustc-web cargo-web rust-web-src`"
        )
    }

    fn target(&self) -> &'static str {
        match self {
            Self::Wasip2 => "wasm32-wasip2",
            Self::Debian { .. } => "wasm32-unknown-unknown",
        }
    }

    fn command(&self) -> Command {
        let mut command = match self {
            Self::Wasip2 => Command::new("cargo"),
            Self::Debian { linker } => {
                let mut command = Command::new("/usr/bin/cargo");
                command
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                    .env_remove("RUSTUP_TOOLCHAIN");
                command
            }
        };
        command.args(["build", "--release", "--target", self.target()]);
        if matches!(self, Self::Debian { .. }) {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        command.env("CARGO_PROFILE_RELEASE_STRIP", "true");
        command
    }
}

/// A quoted value of a table in a manifest.
fn value(text: &str, table: &str, key: &str) -> Option<String> {
    let body = text.split_once(table)?.1;
    let body = body.split_once("\n[").map_or(body, |(body, _)| body);
    let line = body.lines().find(|line| line.split('=').next().is_some_and(|name| name.trim() == key))?;
    Some(line.split_once('=')?.1.trim().trim_matches('"').to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A manifest for `kubectl apply --server-side`.
fn configmap(name: &str, component: &[u8]) -> Result<String> {
    if component.len() > CONFIGMAP_BYTES {
        bail!("{name}: {} bytes do not fit into a ConfigMap (1 MiB); mount it from an image volume", component.len());
    }
    let mut data = serde_json::Map::new();
    data.insert(format!("{name}.wasm"), base64(component).into());
    let manifest = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("claiflow-plugin-{name}"), "namespace": "claiflowclient"},
        "binaryData": data,
    });
    Ok(serde_json::to_string_pretty(&manifest)?)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = usize::try_from(bits >> (18 - digit * 6) & 63).unwrap_or_default();
            let character = DIGITS.get(index).copied().filter(|_| digit <= chunk.len()).unwrap_or(b'=');
            text.push(char::from(character));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{base64, value};

    #[test]
    fn binary_data_is_base64() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_manifest_names_its_plugin() {
        let text = "[package]\nname = \"a\"\n\n[package.metadata.claiflow]\nname = \"b\"\n\n[lib]\nname = \"c\"\n";
        assert_eq!(value(text, "[package.metadata.claiflow]", "name").as_deref(), Some("b"));
        assert_eq!(value(text, "[package]", "version"), None);
    }
}

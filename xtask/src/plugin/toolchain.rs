//! What compiles Rust guests: a ladder, of which the first rung that is there serves.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{process::shown, root};

const WASIP2: &str = "wasm32-wasip2";
const HOW_TO_INSTALL: &str = "no toolchain makes plugins here; install one of these and try again:
  rustup target add wasm32-wasip2
  apt-get install rustc-web cargo-web rust-web-src   (Debian, beside a rustup toolchain, whose linker is used)";

/// What std says on a target without clocks, and what it is compiled from there.
const CLOCKLESS: &[u8] = b"time not implemented on this platform";

/// Which rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Choice {
    /// The first that is there; when none is, rustup is asked to add its target.
    Auto,
    /// rustup's `wasm32-wasip2`.
    Rustup,
    /// Debian's `rustc-web`, which compiles the standard library too.
    Debian,
}

/// A rung that is there.
pub(super) struct Toolchain {
    rung: Rung,
    title: String,
}

enum Rung {
    /// rustup's own target, which makes components by itself.
    Rustup,
    /// Makes core modules.
    Debian { linker: PathBuf },
}

impl Toolchain {
    /// # Errors
    /// The commands that install one.
    pub(super) fn find(choice: Choice) -> Result<Self> {
        let rustc = said("rustc", &["-vV"])?;
        let sysroot = PathBuf::from(said("rustc", &["--print", "sysroot"])?.trim());
        let lib = sysroot.join("lib/rustlib");
        let rustup = || Self { rung: Rung::Rustup, title: format!("{} for {WASIP2}", version(&rustc)) };
        if choice != Choice::Debian && lib.join(WASIP2).is_dir() {
            return Ok(rustup());
        }
        let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let linker = lib.join(host).join("bin/rust-lld");
        let debian = ["/usr/bin/rustc", "/usr/bin/cargo"].iter().all(|file| Path::new(file).exists());
        if choice != Choice::Rustup && debian && linker.exists() {
            let rustc = said("/usr/bin/rustc", &["-vV"])?;
            let title = format!("Debian's {} for wasm32-unknown-unknown", version(&rustc));
            return Ok(Self { rung: Rung::Debian { linker }, title });
        }
        if choice != Choice::Debian {
            eprintln!("→ no toolchain makes plugins here yet; asking rustup for {WASIP2}");
            match shown(Command::new("rustup").args(["target", "add", WASIP2])) {
                Ok(()) if lib.join(WASIP2).is_dir() => return Ok(rustup()),
                Ok(()) => eprintln!("  rustup added it to another toolchain than {}", sysroot.display()),
                Err(error) => eprintln!("  {error:#}"),
            }
        }
        bail!(HOW_TO_INSTALL)
    }

    /// Its name and version, for people and for the component.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn target(&self) -> &'static str {
        match self.rung {
            Rung::Rustup => WASIP2,
            Rung::Debian { .. } => "wasm32-unknown-unknown",
        }
    }

    /// Builds small code that keeps its names, whatever the crate's own profile says.
    pub(super) fn build(&self, manifest: &Path, target_directory: &Path) -> Command {
        let mut command = match &self.rung {
            Rung::Rustup => crate::process::cargo(),
            Rung::Debian { linker } => {
                eprintln!("  with the standard library: the first time takes minutes");
                let mut command = Command::new("/usr/bin/cargo");
                command
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .arg("-Zbuild-std=std,panic_abort");
                command
            }
        };
        command.args(["build", "--lib", "--release", "--target", self.target(), "--manifest-path"]).arg(manifest);
        command.arg("--config").arg(format!("target.{}.rustflags=[{}]", self.target(), remaps().join(",")));
        for (setting, value) in [
            ("OPT_LEVEL", "s"),
            ("LTO", "true"),
            ("CODEGEN_UNITS", "1"),
            ("PANIC", "abort"),
            ("DEBUG", "line-tables-only"),
            ("STRIP", "none"),
        ] {
            command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
        command.env("CARGO_TARGET_DIR", target_directory);
        command
    }

    /// Whether the linked module does only what works where it was compiled for.
    ///
    /// # Errors
    /// What does not, and what to do.
    pub(super) fn check(&self, module: &[u8]) -> Result<()> {
        let clockless = matches!(self.rung, Rung::Debian { .. })
            && module.windows(CLOCKLESS.len()).any(|window| window == CLOCKLESS);
        if clockless {
            bail!(
                "it, or a crate that it uses, calls a clock of `std::time`, which panics on this target: \
                 use `claiflow_sdk::clock`, or build with rustup (`rustup target add {WASIP2}`)"
            );
        }
        Ok(())
    }
}

/// Places of this machine do not belong into a component: its digest would be another elsewhere.
fn remaps() -> Vec<String> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home);
    let places = [(cargo_home, "/cargo"), (Some(root()), "/claiflow")];
    let remap = |(place, name): (Option<PathBuf>, &str)| {
        Some(serde_json::Value::from(format!("--remap-path-prefix={}={name}", place?.display())).to_string())
    };
    places.into_iter().filter_map(remap).collect()
}

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("{program} could not be started; {HOW_TO_INSTALL}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// `rustc 1.95.0` of what `rustc -vV` said.
fn version(said: &str) -> &str {
    let line = said.lines().next().unwrap_or("rustc");
    line.split_once(" (").map_or(line, |(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::{Rung, Toolchain, version};

    #[test]
    fn a_toolchains_title_is_short() {
        assert_eq!(version("rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\n"), "rustc 1.95.0");
    }

    #[test]
    fn a_clock_that_would_panic_is_refused_where_it_would() {
        let with_clock = b"...time not implemented on this platform...";
        let debian = Toolchain { rung: Rung::Debian { linker: "lld".into() }, title: String::new() };
        assert!(debian.check(with_clock).is_err_and(|error| error.to_string().contains("claiflow_sdk::clock")));
        assert!(debian.check(b"...").is_ok());
        assert!(Toolchain { rung: Rung::Rustup, title: String::new() }.check(with_clock).is_ok());
    }
}

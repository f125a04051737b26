//! Plugins in Rust: a crate that cargo makes a component or a core module of.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::{
    Made, guests,
    manifest::Manifest,
    toolchain::{Choice, Toolchain},
};

/// A toolchain that is there, for one crate.
pub(super) struct Compiler {
    toolchain: Toolchain,
    /// The file that cargo makes.
    artifact: String,
}

impl Compiler {
    /// # Errors
    /// The commands that install a toolchain.
    pub(super) fn find(artifact: String, choice: Choice) -> Result<Self> {
        Ok(Self { toolchain: Toolchain::find(choice)?, artifact })
    }

    /// Its name and version, for people and for the component.
    pub(super) fn title(&self) -> &str {
        self.toolchain.title()
    }

    /// # Errors
    /// When the crate does not compile, or calls what its target does not have.
    pub(super) fn build(&self, manifest: &Manifest) -> Result<Made> {
        let (name, guests) = (&manifest.name, guests());
        let status = self.toolchain.build(&manifest.path, &guests).status().context("cargo could not be started")?;
        if !status.success() {
            bail!("{name} does not compile; what cargo says of it stands above");
        }
        let core = guests.join(self.toolchain.target()).join("release").join(&self.artifact);
        let module = fs::read(&core).with_context(|| format!("{} was not built", core.display()))?;
        self.toolchain.check(&module).with_context(|| format!("{name} cannot be built with {}", self.title()))?;
        Ok(Made { component: module, description: None, toolchain: self.title().to_owned() })
    }
}

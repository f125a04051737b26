//! A disk that can be full.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

/// A small file system in memory, mounted for as long as this lives.
pub(super) struct Disk {
    mount: PathBuf,
}

impl Disk {
    /// Mounts it over a directory.
    ///
    /// # Errors
    /// Where nobody may mount anything.
    pub(super) fn mount(directory: &Path, megabytes: usize) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "claiflow-faults"]).arg(directory);
        let output = command.output()?;
        if !output.status.success() {
            bail!("a small disk cannot be mounted: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(Self { mount: directory.to_owned() })
    }

    fn filler(&self) -> PathBuf {
        self.mount.join("filler")
    }

    /// Leaves no byte free.
    pub(super) fn fill(&self) -> Result<()> {
        let mut file = File::create(self.filler())?;
        for piece in [1 << 20, 4 << 10, 1] {
            let zeros = vec![0; piece];
            loop {
                match file.write_all(&zeros) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Gives the space back.
    pub(super) fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that ends may still hold a file.
        match Command::new("umount").arg("--lazy").arg(&self.mount).status() {
            Ok(status) if status.success() => {}
            Ok(status) => eprintln!("{} is still mounted: umount ended with {status}", self.mount.display()),
            Err(error) => eprintln!("{} is still mounted: {error}", self.mount.display()),
        }
    }
}

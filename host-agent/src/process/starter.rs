//! Starts one program: found, put behind the worker that confines it, with nothing of the agent's environment.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use tokio::process::{Child, Command};

use super::{Failure, PROCESS_WORKER, Settings, spawn::Spawner};

/// What starts them.
#[derive(Debug)]
pub(super) struct Starter {
    spawner: Spawner,
    worker: PathBuf,
    helm: PathBuf,
    search: OsString,
    uid: Option<u32>,
}

impl Starter {
    /// Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn open(settings: &Settings) -> io::Result<Self> {
        let Settings { helm, search, worker, uid, .. } = settings.clone();
        // A path is one of the agent's directory, and a program starts in another.
        let helm = if helm.components().count() > 1 { std::path::absolute(&helm)? } else { helm };
        Ok(Self { spawner: Spawner::start()?, worker, helm, search, uid })
    }

    /// Where the program is; it may be mounted at any time.
    ///
    /// # Errors
    /// `unavailable`, with what an operator can do.
    pub(super) fn find(&self) -> Result<PathBuf, Failure> {
        let found = if self.helm.is_absolute() {
            Some(self.helm.clone()).filter(|path| path.is_file())
        } else {
            std::env::split_paths(&self.search).map(|folder| folder.join(&self.helm)).find(|path| path.is_file())
        };
        found.ok_or_else(|| {
            let message = format!(
                "the Helm program `{}` is not there: put it into the agent's image or mount it, and name it with `--helm PATH`",
                self.helm.display()
            );
            Failure::new("unavailable", message)
        })
    }

    /// # Errors
    /// What the system says.
    pub(super) async fn start(
        &self,
        program: &Path,
        arguments: &[String],
        directory: &Path,
        environment: &[(&'static str, PathBuf)],
    ) -> io::Result<Child> {
        let mut command = Command::new(&self.worker);
        command.arg(PROCESS_WORKER).arg(std::process::id().to_string()).arg(program).args(arguments);
        command.current_dir(directory).env_clear().envs(environment.iter().map(|(name, value)| (*name, value)));
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        self.spawner.spawn(command).await
    }
}

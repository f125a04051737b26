//! One thread starts every program: a program ends with the thread that started it, so that thread ends with the agent alone.

use std::{io, process::Stdio, sync::mpsc};

use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
};

type Job = (Command, oneshot::Sender<io::Result<Child>>);

/// The thread.
#[derive(Debug)]
pub(super) struct Spawner(mpsc::Sender<Job>);

impl Spawner {
    /// Starts it. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let runtime = Handle::current();
        std::thread::Builder::new().name("processes".into()).spawn(move || {
            for (mut command, answer) in waiting {
                let _inside = runtime.enter();
                // Who does not wait any more drops the child, which ends it.
                let _ = answer.send(command.spawn());
            }
        })?;
        Ok(Self(jobs))
    }

    /// Starts a program in a process group of its own, with pipes; dropped, it is killed.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn spawn(&self, mut command: Command) -> io::Result<Child> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let gone = || io::Error::other("the thread that starts programs is gone");
        let (answer, started) = oneshot::channel();
        self.0.send((command, answer)).map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}

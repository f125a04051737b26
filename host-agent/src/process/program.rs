//! Where programs run, and what each is given: files of its own, an environment of its own, the limits, another user.

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Call, Child, Failure, Login,
    call::Asked,
    child::{End, Ended, Piece},
    drive::Work,
    files::{self, Private},
    furnish::furnish,
    repositories::Repositories,
    starter::Starter,
    values, vector,
};

/// Programs at once; Helm may take some hundred MiB.
const AT_ONCE: usize = 8;
/// Pieces that wait for who listens, of at most 32 KiB each.
const PIECES_MAX: usize = 8;

/// What the wiring decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Helm program: a path, or a name that is looked for in `search`.
    pub helm: PathBuf,
    /// Where names are looked for, as in `PATH`.
    pub search: OsString,
    /// The program whose first argument `process-worker` leads to [`super::process_worker`]; usually the agent itself.
    pub worker: PathBuf,
    /// A directory of the agent's own that outlives it: the repositories that are kept.
    pub state: PathBuf,
    /// Where private directories are made; only this agent writes it, and what is in it is removed.
    pub scratch: PathBuf,
    /// Run programs as this user; none: as the agent's own.
    pub uid: Option<u32>,
    /// Registries, host:port, that are spoken to without TLS.
    pub plain: Vec<String>,
}

/// Runs programs for everybody.
#[derive(Debug)]
pub struct Processes {
    settings: Settings,
    starter: Arc<Starter>,
    slots: Arc<Semaphore>,
    repositories: Arc<Turn<Repositories>>,
    /// Who changes a release, by namespace and name.
    turns: Mutex<HashMap<String, Arc<Turn<()>>>>,
}

/// A call with all that was granted to it. Has no `Debug`: nothing may print it.
pub struct Order {
    /// What to do.
    pub call: Call,
    /// The values; empty for profiles that read none.
    pub stdin: Vec<u8>,
    /// As whom it speaks with the cluster, as a kubeconfig, and what of it must not be seen.
    pub identity: Option<(String, Vec<Vec<u8>>)>,
    /// The URL that [`Processes::wanted`] answered, and the login that may go there.
    pub login: Option<(String, Login)>,
    /// Wait for whoever changes the same release, and keep others waiting.
    pub is_exclusive: bool,
}

impl Processes {
    /// Makes the directories. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// What of them cannot be used.
    pub fn open(settings: Settings) -> io::Result<Arc<Self>> {
        let at = |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        files::scratch(&settings.scratch, settings.uid.is_some()).map_err(|error| at(&settings.scratch, error))?;
        let repositories = Repositories::open(&settings.state).map_err(|error| at(&settings.state, error))?;
        let starter = Starter::open(&settings)?;
        Ok(Arc::new(Self {
            settings,
            starter: Arc::new(starter),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            repositories: Arc::new(Turn::new(repositories)),
            turns: Mutex::default(),
        }))
    }

    /// The credential that must go along, and the URL that it would be sent to.
    ///
    /// # Errors
    /// `not-found` for a repository that is not kept.
    pub async fn wanted(&self, call: &Call) -> Result<Option<(String, String)>, Failure> {
        let asked = match &call.asked {
            Asked::Deploy(deploy) => deploy.credential.as_ref().zip(deploy.chart.asked(&self.settings.plain)),
            Asked::RepoAdd(asked) => asked.credential.as_ref().map(|credential| (credential, asked.repo_url.clone())),
            _ => None,
        };
        if let Some((credential, url)) = asked {
            return Ok(Some((credential.as_str().to_owned(), url)));
        }
        let Some(name) = call.repository() else { return Ok(None) };
        let repositories = self.repositories.lock().await;
        let kept = repositories.get(name)?;
        Ok(kept.credential.clone().map(|credential| (credential, kept.url.clone())))
    }

    /// Starts what the call asks for. `begin` is asked last: from there on it may have its effect.
    ///
    /// # Errors
    /// What `begin` answers; `invalid`, `not-found`, `exists`, `unavailable`, `timeout` or `too-large`, and then nothing was
    /// started.
    pub async fn start<E: From<Failure>>(
        &self,
        order: Order,
        left: Duration,
        begin: impl FnOnce() -> Result<(), E>,
    ) -> Result<Child, E> {
        let Order { call, stdin, identity, login, is_exclusive } = order;
        let profile = call.profile();
        let stdin = values::checked(profile, stdin)?;
        let late = || Failure::new("timeout", "other programs run, and none of them ended in time");
        let taken = timeout(left, self.take(&call, is_exclusive)).await;
        let held = taken.map_err(|_| late())?;
        let steps = vector::steps(&call, &self.settings.plain);
        if steps.runs.is_empty() {
            let list = self.repositories.lock().await.list();
            begin()?;
            return Ok(answered(list));
        }
        let program = self.starter.find()?;
        let private = Private::make(&self.settings.scratch, self.settings.uid)
            .map_err(|error| Failure::unavailable("a private directory cannot be made", &error))?;
        let kubeconfig = identity.as_ref().map(|(kubeconfig, _)| kubeconfig.as_str());
        furnish(&call, &private, kubeconfig, login.as_ref(), &self.repositories).await?;
        let (pieces, said) = mpsc::channel(PIECES_MAX);
        let (ended, end) = watch::channel(End::None);
        let stop = CancellationToken::new();
        let mut cut: Vec<Vec<u8>> = login.iter().flat_map(|(_, login)| login.parts()).collect();
        cut.extend(identity.into_iter().flat_map(|(_, secrets)| secrets));
        let work = Work {
            starter: Arc::clone(&self.starter),
            program,
            environment: private.environment(profile.needs_cluster()),
            private,
            steps,
            stdin,
            cut,
            grace: profile.grace(),
            pieces,
            stop: stop.clone(),
        };
        begin()?;
        let repositories = Arc::clone(&self.repositories);
        // It goes on beside its caller: who drops the child does not wait for its end, and the next one of the release does.
        tokio::spawn(async move {
            let keep = work.steps.keep.clone();
            let (private, mut outcome) = work.run().await;
            if let (Some(keep), Ok(Ended::Exit(0))) = (&keep, &outcome) {
                let kept = repositories.lock().await.keep(keep, &private);
                outcome = kept
                    .map(|()| Ended::Exit(0))
                    .map_err(|error| Failure::unavailable("the index is not kept", &error));
            }
            drop(private);
            drop(held);
            // Nobody may want to know any more.
            let _ = ended.send(Some(outcome));
        });
        Ok(Child::new(said, end, stop))
    }

    /// A place among the programs, and the release's turn.
    async fn take(
        &self,
        call: &Call,
        is_exclusive: bool,
    ) -> (Option<OwnedMutexGuard<()>>, Option<OwnedSemaphorePermit>) {
        let turn = call.release().filter(|_| is_exclusive).map(|release| {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(release).or_default())
        });
        let turn = match turn {
            Some(turn) => Some(turn.lock_owned().await),
            None => None,
        };
        // It is never closed.
        (turn, Arc::clone(&self.slots).acquire_owned().await.ok())
    }
}

/// A child that has said all and ended.
fn answered(data: Vec<u8>) -> Child {
    let (pieces, said) = mpsc::channel(1);
    // There is room for one.
    let _ = pieces.try_send(Piece { is_error: false, data });
    let (_, end) = watch::channel(End::Some(Ok(Ended::Exit(0))));
    Child::new(said, end, CancellationToken::new())
}

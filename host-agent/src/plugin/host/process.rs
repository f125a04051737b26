//! `claiflow:plugin/process`: programs of the agent's image, each through a profile. From its start on, one that leaves something
//! behind may have done so.

use tokio::time::Instant;
use wasmtime::component::Resource;

use crate::{
    grants::{self, Grant},
    kubernetes::{Actor, Failure, Kubeconfig},
    plugin::{
        bindings::claiflow::plugin::{
            process::{Chunk, Host, HostChild},
            types,
        },
        caller::{NoWrites, Power},
        standing::Standing,
        state::CallState,
    },
    process::{self, Call, Child, Login, Order, Piece, Profile},
};

use super::kubernetes::{
    call::{Made, actor, denied},
    lost,
};

const READ_MAX_BYTES: usize = 1 << 20;
/// What waits of a program's output.
const HELD_BYTES: usize = 512 << 10;

type Answer<T> = wasmtime::Result<Result<T, types::Failure>>;

/// A program that runs for a guest.
#[allow(unreachable_pub, reason = "the bindings name it")]
pub struct Running {
    profile: Profile,
    child: Child,
    held: usize,
}

impl Host for CallState {
    async fn start(&mut self, profile: String, args: String, stdin: Vec<u8>) -> Answer<Resource<Running>> {
        let mut made = self.making("start");
        let answer = Box::pin(self.start_program(&mut made, &profile, &args, stdin)).await;
        self.made(&made, answer)
    }
}

impl HostChild for CallState {
    async fn read(&mut self, running: Resource<Running>, max_bytes: u32, timeout_ms: u32) -> Answer<Option<Chunk>> {
        let mut made = self.waiting("process");
        let answer = Box::pin(self.read_program(&mut made, &running, max_bytes, timeout_ms)).await;
        self.made(&made, answer)
    }

    async fn wait(&mut self, running: Resource<Running>) -> Answer<String> {
        let mut made = self.waiting("process");
        let answer = Box::pin(self.end_of_program(&mut made, &running)).await;
        self.made(&made, answer)
    }

    async fn terminate(&mut self, running: Resource<Running>) -> wasmtime::Result<()> {
        self.resources.get(&running)?.child.terminate();
        Ok(())
    }

    async fn drop(&mut self, running: Resource<Running>) -> wasmtime::Result<()> {
        let mut held = self.resources.delete(running)?.held;
        self.release(&mut held);
        Ok(())
    }
}

impl CallState {
    async fn start_program(
        &mut self,
        made: &mut Made,
        profile: &str,
        args: &str,
        stdin: Vec<u8>,
    ) -> Result<Resource<Running>, Failure> {
        let standing = self.standing.clone();
        standing.count()?;
        let profile = Profile::named(profile).ok_or_else(|| unknown(profile))?;
        made.program(profile.name());
        let actor = may_run(&standing, profile)?;
        let processes = standing.caller.surroundings.processes.clone().ok_or_else(|| {
            Failure::new("unavailable", "no program is run here; an agent that serves tasks runs them")
        })?;
        let call = Call::read(profile, args)?;
        let login = match processes.wanted(&call).await? {
            Some((credential, url)) => {
                let login = login(&standing, &credential, &url).await?;
                Some((url, login))
            }
            None => None,
        };
        let identity = match profile.needs_cluster() {
            true => Some(identity(&standing, &actor, self.deadline()).await?),
            false => None,
        };
        // What the credential and the token took may have changed what is allowed.
        if may_run(&standing, profile)? != actor {
            return Err(Failure::new("denied", "the plugin's account was changed while its program was being started"));
        }
        let is_verified = standing.caller.power == Power::Read(NoWrites::Verify);
        let order = Order {
            is_exclusive: profile.changes_release() || is_verified,
            identity: identity.map(|Kubeconfig { text, secrets }| (text, secrets)),
            call,
            stdin,
            login,
        };
        let mut held = 0;
        self.hold(&mut held, HELD_BYTES)?;
        let begin = || {
            if profile.has_effect() {
                standing.may_write(false)?;
                standing.begin_effect()?;
            }
            Ok::<(), Failure>(())
        };
        let started = processes.start(order, standing.time_left(), begin).await;
        let child = started.inspect_err(|_| self.release(&mut held))?;
        self.resources.push(Running { profile, child, held }).map_err(lost)
    }

    async fn read_program(
        &mut self,
        made: &mut Made,
        resource: &Resource<Running>,
        max_bytes: u32,
        timeout_ms: u32,
    ) -> Result<Option<Chunk>, Failure> {
        self.go_on_with(made, resource)?;
        let (until, stop, stopping) =
            (self.until(timeout_ms), self.standing.stop.clone(), self.standing.stop.is_cancelled());
        let most = usize::try_from(max_bytes).unwrap_or(READ_MAX_BYTES).min(READ_MAX_BYTES);
        let running = self.resources.get_mut(resource).map_err(lost)?;
        let nothing = || Some(Piece { is_error: false, data: Vec::new() });
        let piece = tokio::select! {
            piece = running.child.read(most, until) => piece,
            () = stop.cancelled(), if !stopping => nothing(),
        };
        self.memory.pass(piece.as_ref().map_or(0, |piece| piece.data.len()));
        Ok(piece.map(|Piece { is_error, data }| Chunk {
            stream: if is_error { "stderr" } else { "stdout" }.to_owned(),
            data,
        }))
    }

    async fn end_of_program(&mut self, made: &mut Made, resource: &Resource<Running>) -> Result<String, Failure> {
        self.go_on_with(made, resource)?;
        let left = self.standing.remaining();
        let running = self.resources.get_mut(resource).map_err(lost)?;
        Ok(running.child.wait(left).await?.told().to_string())
    }

    /// A program whose grant was withdrawn is asked to end, and not listened to any more.
    fn go_on_with(&mut self, made: &mut Made, resource: &Resource<Running>) -> Result<(), Failure> {
        self.standing.count()?;
        let running = self.resources.get(resource).map_err(lost)?;
        let profile = running.profile;
        made.program(profile.name());
        let allowed = granted(&self.standing, profile).map(drop);
        if allowed.is_err() {
            self.resources.get(resource).map_err(lost)?.child.terminate();
        }
        allowed
    }
}

/// Over the grants as they are now, and whether the call may leave something behind.
fn may_run(standing: &Standing, profile: Profile) -> Result<Actor, Failure> {
    let actor = granted(standing, profile)?;
    if profile.has_effect() {
        standing.may_write(false)?;
    }
    Ok(actor)
}

fn granted(standing: &Standing, profile: Profile) -> Result<Actor, Failure> {
    with_grant(standing, |grant, plugin| {
        grants::process::allows(grant, plugin, profile.name()).map_err(denied)?;
        Ok(actor(grant, plugin))
    })
}

/// As whom the program speaks with the cluster, for as long as the call may take.
async fn identity(standing: &Standing, actor: &Actor, deadline: Instant) -> Result<Kubeconfig, Failure> {
    let cluster = standing.caller.surroundings.cluster.clone().ok_or_else(|| {
        Failure::new(
            "unavailable",
            "this agent has no cluster: it runs in none with its account mounted, and was given no `--kubeconfig`",
        )
    })?;
    cluster.kubeconfig(actor, standing.remaining(), deadline).await
}

/// The credential's bytes as a login, where the grant lets it go to that URL.
async fn login(standing: &Standing, credential: &str, url: &str) -> Result<Login, Failure> {
    let parsed = url.parse().map_err(|_| Failure::new("invalid", format!("`{url}` is no address")))?;
    let used =
        with_grant(standing, |grant, plugin| grants::http::lend(grant, plugin, &parsed, credential).map_err(denied))?;
    let secret = standing.caller.surroundings.http.lend(&used).await;
    let secret = secret.map_err(|failure| Failure::new(failure.code, failure.message))?;
    Ok(Login::read(credential, secret.bytes())?)
}

fn with_grant<T>(standing: &Standing, judge: impl FnOnce(&Grant, &str) -> Result<T, Failure>) -> Result<T, Failure> {
    let caller = &standing.caller;
    let current = caller.surroundings.authority.current();
    let nothing = Grant::default();
    judge(current.grant_of(&caller.plugin, &caller.digest).unwrap_or(&nothing), &caller.plugin)
}

impl From<process::Failure> for Failure {
    fn from(failure: process::Failure) -> Self {
        Self::new(failure.code, failure.message)
    }
}

fn unknown(profile: &str) -> Failure {
    let known: Vec<_> = Profile::ALL.iter().map(|profile| profile.name()).collect();
    let shown = super::lines::clean(profile, 80);
    Failure::new("invalid", format!("there is no profile `{shown}`; there are {}", known.join(", ")))
}

//! The stores of credentials that the flags name, and the change of their key.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use crate::{
    config::{Agent, Credentials, Rekey},
    credentials::{KeyFile, Stores, Volume},
    kubernetes::Cluster,
};

/// Nothing is read yet, but for a change of the key that is under way: it goes on beside everything else.
pub(super) fn open(agent: &Agent, cluster: Option<&Arc<Cluster>>) -> Arc<Stores> {
    let volume = volume(&agent.credentials, &agent.state, agent.clusteruuid.as_deref());
    let moving = volume.clone();
    tokio::task::spawn_blocking(move || match go_on(&moving) {
        Ok(()) => {}
        Err(error) => tracing::warn!("credentials are not all under the newest key: {error}"),
    });
    Arc::new(Stores::new(agent.credentials.credentials.clone(), Some(volume), cluster.cloned()))
}

fn volume(flags: &Credentials, state: &Path, cluster: Option<&str>) -> Volume {
    Volume::new(flags.volume(state), KeyFile::new(flags.key(state)), cluster)
}

/// Moves what is left, and takes no key away: that they may go is an operator's to say.
fn go_on(volume: &Volume) -> io::Result<()> {
    if !volume.is_rekeying()? {
        return Ok(());
    }
    let done = volume.rekey(false)?.finish(false)?;
    for broken in &done.broken {
        tracing::warn!(credential.key = broken.key, "a credential stays as it is: {}", broken.why);
    }
    if done.moved > 0 {
        tracing::info!(credentials = done.moved, "credentials were encrypted under the newest key");
    }
    Ok(())
}

/// `credential rekey`.
///
/// # Errors
/// Where directory or keys cannot be read or written.
pub(super) fn rekey(arguments: &Rekey) -> Result<ExitCode, String> {
    let volume = volume(&arguments.credentials, &arguments.state, arguments.clusteruuid.as_deref());
    let done = volume.rekey(!arguments.keep).and_then(|rekey| rekey.finish(!arguments.keep));
    let done = done.map_err(|error| format!("the key was not changed to its end: {error}; run it again"))?;
    let mut text = format!(
        "{} credentials are under the newest key of {}: {} were moved, {} were there",
        done.moved + done.kept,
        volume.key_file().path().display(),
        done.moved,
        done.kept
    );
    for broken in &done.broken {
        text.push_str(&format!("\n{} stays as it is, and so do the older keys: {}", broken.key, broken.why));
    }
    if done.forgotten > 0 {
        text.push_str(&format!("\nolder keys that are gone: {}", done.forgotten));
    }
    writeln!(io::stdout(), "{text}").map_err(|error| format!("nothing can be written: {error}"))?;
    Ok(if done.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! `helm.uninstall`.

use claiflow_sdk::{Applied, Context, Error, Verdict, command, task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    failure::About,
    former::Former,
    helm,
    release::{self, Dated, Release},
    timeout,
};

/// Of values that a note keeps.
const NOTED_MAX_BYTES: usize = 2 << 10;

/// Which release.
#[derive(Deserialize, JsonSchema)]
pub struct Uninstall {
    /// The release's name.
    #[schemars(length(min = 1))]
    name: String,
    /// The namespace that it is in.
    #[schemars(length(min = 1))]
    namespace: String,
    /// How long is waited until all is gone, minutes; absent: 5.
    #[schemars(range(min = 1))]
    timeout: Option<u32>,
}

/// What the release was: once it is gone, nobody else can tell.
#[derive(Serialize, Deserialize)]
struct Seen {
    first_deployed: String,
    release: Release,
}

/// Uninstalls a release and waits until all of it is gone.
#[command("helm.uninstall", effect = "verify", verify = uninstalled)]
pub fn uninstall(inputs: Former<Uninstall>, context: &Context) -> Result<Release, Error> {
    let Uninstall { name, namespace, timeout } = inputs.known();
    let seen = match noted(context) {
        Some(seen) => seen,
        None => {
            let nothing_done = |error: Error| error.applied(Applied::No);
            let Dated { mut release, first_deployed } = release::newest(&name, &namespace).map_err(nothing_done)?;
            // A note is small, and what was installed is what nobody asks for any more.
            release.notes.clear();
            if json!(release.user_supplied_values).to_string().len() > NOTED_MAX_BYTES {
                release.user_supplied_values = None;
            }
            let seen = Seen { first_deployed, release };
            task::note(&seen).map_err(nothing_done)?;
            seen
        }
    };
    let timeout_s = timeout::seconds(timeout);
    let args = json!({"name": name, "namespace": namespace, "timeout_s": timeout_s});
    let about = About { release: Some((&name, &namespace)), timeout_s: Some(timeout_s) };
    match helm::run("helm.uninstall", &args, b"", &about) {
        // An earlier attempt of this very call was late.
        Err(error) if error.code() == "not-found" && noted(context).is_some() => Ok(gone(seen)),
        Err(error) => Err(error),
        Ok(_) => Ok(gone(seen)),
    }
}

fn uninstalled(inputs: Former<Uninstall>, context: &Context) -> Result<Verdict<Release>, Error> {
    let Uninstall { name, namespace, .. } = inputs.known();
    // Without a note nothing was begun.
    let Some(seen) = noted(context) else { return Ok(Verdict::NotDone) };
    match release::newest(&name, &namespace) {
        // Another one of that name came after it.
        Ok(now) if now.first_deployed != seen.first_deployed => Ok(Verdict::Done(gone(seen))),
        Ok(_) => Ok(Verdict::NotDone),
        Err(error) if error.code() == "not-found" => Ok(Verdict::Done(gone(seen))),
        Err(error) => Err(error),
    }
}

fn noted(context: &Context) -> Option<Seen> {
    context.notes.iter().rev().find_map(|note| serde_json::from_value(note.clone()).ok())
}

fn gone(seen: Seen) -> Release {
    Release { status: "uninstalled".to_owned(), ..seen.release }
}

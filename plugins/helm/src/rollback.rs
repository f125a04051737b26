//! `helm.rollback`.

use claiflow_sdk::{Applied, Context, Error, Verdict, command, task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{failure::About, former::Former, helm, history, mark, timeout};

const DONE: &str = "Rollback was a success! Happy Helming!";

/// Which release goes back to what.
#[derive(Deserialize, JsonSchema)]
pub struct Rollback {
    /// The release's name.
    #[schemars(length(min = 1))]
    name: String,
    /// The namespace that it is in.
    #[schemars(length(min = 1))]
    namespace: String,
    /// The revision to go back to; absent or 0: the one before.
    revision: Option<u32>,
    /// How long is waited until all is ready, minutes; absent: 5.
    #[schemars(range(min = 1))]
    timeout: Option<u32>,
}

/// Where to: noted first, since an attempt that dies leaves a revision, and the one before is another one then.
#[derive(Serialize, Deserialize)]
struct Target {
    revision: u64,
}

/// Takes a release back to an earlier revision and waits until it is ready.
#[command("helm.rollback", effect = "verify", verify = rolled_back)]
pub fn rollback(inputs: Former<Rollback>, context: &Context) -> Result<String, Error> {
    let Rollback { name, namespace, revision, timeout } = inputs.known();
    let target = match noted(context) {
        Some(target) => target,
        None => {
            let target = target(&name, &namespace, revision).map_err(|error| error.applied(Applied::No))?;
            task::note(&target).map_err(|error| error.applied(Applied::No))?;
            target
        }
    };
    let timeout_s = timeout::seconds(timeout);
    let description = mark::described(&format!("Rollback to {}", target.revision), context);
    let args = json!({
        "name": name, "namespace": namespace, "revision": target.revision, "timeout_s": timeout_s,
        "description": description,
    });
    let about = About { release: Some((&name, &namespace)), timeout_s: Some(timeout_s) };
    let output = helm::run("helm.rollback", &args, b"", &about)?;
    Ok(helm::text(&output))
}

fn rolled_back(inputs: Former<Rollback>, context: &Context) -> Result<Verdict<String>, Error> {
    let Rollback { name, namespace, .. } = inputs.known();
    let revisions = history::known(&name, &namespace)?;
    Ok(match history::deployed_by(&revisions, context) {
        Some(_) => Verdict::Done(DONE.to_owned()),
        None => Verdict::NotDone,
    })
}

fn target(name: &str, namespace: &str, revision: Option<u32>) -> Result<Target, Error> {
    let revisions = history::revisions(name, namespace)?;
    let known = |wanted: u64| revisions.iter().any(|known| known.revision == wanted);
    match revision.filter(|revision| *revision > 0).map(u64::from) {
        Some(wanted) if known(wanted) => Ok(Target { revision: wanted }),
        Some(wanted) => {
            let there: Vec<_> = revisions.iter().map(|revision| revision.revision.to_string()).collect();
            Err(Error::not_found(format!(
                "release `{name}` in namespace `{namespace}` has no revision {wanted}; it has {}",
                there.join(", ")
            )))
        }
        None => {
            let before = revisions.get(1).map(|revision| revision.revision);
            let revision = before.ok_or_else(|| {
                Error::not_found(format!(
                    "release `{name}` in namespace `{namespace}` has one revision, and none before it to go back to"
                ))
            })?;
            Ok(Target { revision })
        }
    }
}

fn noted(context: &Context) -> Option<Target> {
    context.notes.iter().rev().find_map(|note| serde_json::from_value(note.clone()).ok())
}

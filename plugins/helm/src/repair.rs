//! A release that a dead attempt left pending: Helm refuses to touch it until somebody takes it back.

use claiflow_sdk::{Applied, Context, Error, clock, log};
use serde::Deserialize;
use serde_json::json;

use crate::{
    deploy::Kind,
    failure::About,
    helm,
    history::{self, Revision},
    mark, time,
};

/// What `helm list` says.
#[derive(Deserialize)]
struct Listed {
    name: String,
}

/// Sees to it that Helm can begin. What is pending by this call's own earlier attempt, or for longer than anybody would wait for it,
/// goes back to what was last deployed, or goes where nothing was.
///
/// # Errors
/// `conflict` where somebody may be at work; what Helm says.
pub(crate) fn before(kind: Kind, name: &str, namespace: &str, timeout_s: u32, context: &Context) -> Result<(), Error> {
    let nothing_done = |error: Error| error.applied(Applied::No);
    let revisions = history::known(name, namespace).map_err(nothing_done)?;
    let Some(last) = revisions.first() else { return Ok(()) };
    let is_stuck = last.is_pending() || last.status == "uninstalling";
    // An install that its own attempt did not come to take away again.
    let is_left = kind == Kind::Install && last.status == "failed" && context.attempt > 1;
    if !(is_stuck || is_left) {
        return Ok(());
    }
    let is_ours =
        mark::is_ours(&last.description, context) || is_labelled(name, namespace, context).map_err(nothing_done)?;
    if is_left && !is_ours {
        return Ok(());
    }
    let age = age_s(last);
    if !is_ours && age.is_none_or(|age| age <= u64::from(timeout_s)) {
        let Revision { revision, status, updated, .. } = last;
        let message = format!(
            "release `{name}` in namespace `{namespace}`: revision {revision} is `{status}` since {updated}, so somebody changes the \
             release now; try again when that has ended. What nobody works on is repaired once it is older than the timeout of \
             {timeout_s} s, or taken back by `helm.rollback` or `helm.uninstall`"
        );
        return Err(Error::conflict(message).applied(Applied::No));
    }
    take_back(name, namespace, last, &revisions, timeout_s)
}

fn take_back(
    name: &str,
    namespace: &str,
    last: &Revision,
    revisions: &[Revision],
    timeout_s: u32,
) -> Result<(), Error> {
    let about = About { release: Some((name, namespace)), timeout_s: Some(timeout_s) };
    let good = revisions.iter().find(|revision| revision.was_deployed()).filter(|_| last.status != "uninstalling");
    let (profile, args, what) = match good {
        Some(good) => {
            let description =
                format!("Rollback to {}: revision {} was left {}", good.revision, last.revision, last.status);
            let args = json!({
                "name": name, "namespace": namespace, "revision": good.revision, "timeout_s": timeout_s,
                "description": description,
            });
            ("helm.rollback", args, format!("it goes back to revision {}", good.revision))
        }
        None => {
            let args = json!({"name": name, "namespace": namespace, "timeout_s": timeout_s});
            ("helm.uninstall", args, "it was never deployed and is uninstalled".to_owned())
        }
    };
    let why = format_args!(
        "release `{name}` in namespace `{namespace}`: revision {} was left `{}` by an attempt that ended; {what}",
        last.revision, last.status
    );
    log::warn(why, &[]);
    helm::run(profile, &args, b"", &about)
        .map(drop)
        .map_err(|error| error.while_doing("repairing the release before the work"))
}

/// Whether the newest revision carries this call's label: while it is pending, its description does not say so yet.
fn is_labelled(name: &str, namespace: &str, context: &Context) -> Result<bool, Error> {
    if context.effect_key.is_empty() {
        return Ok(false);
    }
    let args = json!({"namespace": namespace, "effect_key": context.effect_key});
    let output = helm::run("helm.list", &args, b"", &About::release(name, namespace))?;
    let listed: Vec<Listed> = serde_json::from_slice(&output)
        .map_err(|error| Error::failed(format!("Helm's list cannot be read: {error}")))?;
    Ok(listed.iter().any(|listed| listed.name == name))
}

/// None where its time cannot be read.
fn age_s(revision: &Revision) -> Option<u64> {
    Some(clock::unix().as_secs().saturating_sub(time::unix_s(&revision.updated)?))
}

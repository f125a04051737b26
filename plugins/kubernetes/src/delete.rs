//! `delete`.

use claiflow_sdk::{
    Context, Error, Verdict, command,
    kubernetes::{Api, RemoveOptions},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    former::Former,
    json::Json,
    mark::{self, Mark, Now},
    target,
};

/// Which object.
#[derive(Deserialize, JsonSchema)]
pub struct Delete {
    #[schemars(length(min = 1))]
    name: String,
    /// For kinds that lie in namespaces, and only for them.
    namespace: Option<String>,
    /// Only the object with this `metadata.uid`, none that took its name since.
    #[schemars(length(min = 1))]
    uid: Option<String>,
    /// What becomes of what it owns: it is removed soon after (`Background`), before (`Foreground`), or stays (`Orphan`).
    #[serde(default)]
    #[schemars(schema_with = "propagation_schema")]
    propagation: Option<Propagation>,
    /// How long a pod has to end.
    grace_seconds: Option<u32>,
}

/// The API server's words.
#[derive(Deserialize, Clone, Copy, Debug)]
enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// A plain list of words: who gives another one is told these.
fn propagation_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"enum": ["Background", "Foreground", "Orphan", null]})
}

/// Removes one object; answers what the API server does.
///
/// Where it may look first, it removes the very object that it saw: one that took the name since stays.
#[command(
    pattern = "kubernetes.{resource}.delete.{version+}",
    effect = [{ when = ".uid != null", effect = "idempotent" }, { effect = "verify" }],
    verify = deleted
)]
pub fn delete(inputs: Former<Delete>, context: &Context) -> Result<Json, Error> {
    let Delete { name, namespace, uid, propagation, grace_seconds } = inputs.known();
    let api: Api<Json> = target::place(context, namespace.as_deref())?;
    let mut again = context.attempt > 1;
    let uid = match uid {
        Some(uid) => Some(uid),
        None => {
            again = mark::noted(context).is_some();
            match mark::before(&api, &name, context)? {
                Mark::Seen(seen) => Some(seen.uid),
                Mark::Unseen => None,
            }
        }
    };
    let propagation = propagation.map(|propagation| format!("{propagation:?}"));
    let options = RemoveOptions { uid: uid.clone(), propagation, grace_seconds, ..RemoveOptions::default() };
    match (api.remove(&name, &options), uid) {
        // An earlier attempt of this very call came through after all.
        (Err(error), Some(uid)) if again && matches!(error.status(), Some(404 | 409)) => Ok(gone(&name, &uid)),
        (answer, _) => answer.map(Json::from),
    }
}

fn deleted(inputs: Former<Delete>, context: &Context) -> Result<Verdict<Json>, Error> {
    let Delete { name, namespace, .. } = inputs.known();
    went(&target::place::<Json>(context, namespace.as_deref())?, &name, context)
}

/// Whether the object that this call was about is gone.
///
/// # Errors
/// Where nobody says.
pub(crate) fn went(api: &Api<Json>, name: &str, context: &Context) -> Result<Verdict<Json>, Error> {
    Ok(match (mark::noted(context), mark::now(api, name)?) {
        (Some(Mark::Seen(seen)), Now::Gone) => Verdict::Done(gone(name, &seen.uid)),
        (_, Now::Gone) => Verdict::Done(gone(name, "")),
        (Some(Mark::Seen(then)), Now::There { seen: Some(now), is_going }) if is_going || now.uid != then.uid => {
            Verdict::Done(gone(name, &then.uid))
        }
        // Before its note, a call changes nothing.
        (None | Some(Mark::Seen(_)), Now::There { seen: Some(_), .. }) => Verdict::NotDone,
        _ => Verdict::Unknown(format!("`{name}` is there, and the plugin may not see whether it is the same one")),
    })
}

/// As the API server answers it.
fn gone(name: &str, uid: &str) -> Json {
    let details = json!({"name": name, "uid": uid});
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}).into()
}

//! `patch`.

mod check;
mod repeat;

use claiflow_sdk::{
    Context, Error, Verdict, command,
    kubernetes::{Api, Patch as Change, WriteOptions},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    former::Former,
    json::Json,
    mark::{self, Mark, Now},
    target,
};

/// What to change.
#[derive(Deserialize, JsonSchema)]
pub struct Patch {
    #[schemars(length(min = 1))]
    name: String,
    /// For kinds that lie in namespaces, and only for them.
    namespace: Option<String>,
    /// `json`: RFC 6902, `[{"op": "replace", "path": "/spec/replicas", "value": 3}]`. `merge`: RFC 7386,
    /// `{"spec": {"replicas": 3}}`, where null removes. `strategic`: as `merge`, but lists are merged by the keys that the
    /// kind declares; not for custom resources. `apply`: server-side apply.
    #[schemars(schema_with = "type_schema")]
    patch_type: PatchType,
    /// For `json` an array of operations, else an object.
    #[schemars(schema_with = "data_schema")]
    patch_data: Value,
    /// With `apply`: take fields over from other managers, which is the verb `force-apply` in the grant.
    #[serde(default)]
    force: bool,
    /// Only these fields of the answer.
    #[serde(default)]
    fields: Vec<String>,
}

/// How the change is written.
#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum PatchType {
    Json,
    Merge,
    Strategic,
    Apply,
}

/// Changes an object; answers it as it is then.
///
/// A JSON patch that would do something else the second time, such as one that adds to a list, is verified before it is
/// made again; a `test` of `/metadata/resourceVersion` makes that needless.
#[command(
    pattern = "kubernetes.{resource}.patch.{version+}",
    effect = [
        { when = ".patch_type != \"json\" or (.patch_data | type) != \"array\"", effect = "idempotent" },
        { when = "any(.patch_data[]; .op == \"test\" and .path == \"/metadata/resourceVersion\")", effect = "idempotent" },
        {
            when = "all(.patch_data[]; .op == \"test\" or .op == \"replace\" or ((.op == \"add\" or .op == \"remove\") and ((.path | split(\"/\") | last // \"\") as $last | $last != \"-\" and ($last | explode | all(. >= 48 and . <= 57) | not))))",
            effect = "idempotent"
        },
        { effect = "verify" },
    ],
    verify = patched
)]
pub fn patch(inputs: Former<Patch>, context: &Context) -> Result<Json, Error> {
    let Patch { name, namespace, patch_type, patch_data, force, fields } = inputs.known();
    check::check(patch_type, &patch_data)?;
    let api: Api<Json> = target::place(context, namespace.as_deref())?;
    let options = WriteOptions { fields, ..WriteOptions::default() };
    let change = match patch_type {
        PatchType::Apply => return api.apply(&name, &patch_data, &WriteOptions { force, ..options }),
        PatchType::Merge => Change::Merge(patch_data),
        PatchType::Strategic => Change::Strategic(patch_data),
        PatchType::Json => {
            if !repeat::is_harmless(&patch_data) {
                mark::before(&api, &name, context)?;
            }
            Change::Json(patch_data)
        }
    };
    api.patch(&name, &change, &options)
}

fn patched(inputs: Former<Patch>, context: &Context) -> Result<Verdict<Json>, Error> {
    let Patch { name, namespace, .. } = inputs.known();
    let api: Api<Json> = target::place(context, namespace.as_deref())?;
    // Before its note, a call changes nothing.
    let Some(mark) = mark::noted(context) else { return Ok(Verdict::NotDone) };
    Ok(match (mark, mark::now(&api, &name)?) {
        (Mark::Seen(then), Now::There { seen: Some(now), .. }) if now == then => Verdict::NotDone,
        (Mark::Seen(_), Now::There { seen: Some(_), .. }) => {
            Verdict::Unknown(format!("`{name}` was changed since, and nothing says whether this call did it"))
        }
        (_, Now::Gone) => Verdict::Unknown(format!("`{name}` was removed since")),
        _ => Verdict::Unknown(format!("the plugin may not see whether `{name}` was changed since")),
    })
}

/// A plain list of words: who gives another one is told these.
fn type_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"enum": ["json", "merge", "strategic", "apply"]})
}

fn data_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["array", "object"]})
}

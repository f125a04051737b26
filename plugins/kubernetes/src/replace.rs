//! `replace`.

use claiflow_sdk::{
    Context, Error, Verdict, command,
    kubernetes::{Query, WriteOptions},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    json::Json,
    object::{Body, is_ours, write},
};

/// What to put in place of an object.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// For kinds that lie in namespaces; it may stand in the object in its place.
    namespace: Option<String>,
    /// The whole object, with the `metadata.resourceVersion` that it was read with.
    object: Map<String, Value>,
}

/// Puts an object in place of what it was when it was read.
#[command(pattern = "kubernetes.{resource}.replace.{version+}", effect = "verify", verify = replaced)]
pub fn replace(inputs: Replace, context: &Context) -> Result<Json, Error> {
    let body = body(inputs, context)?;
    let options = WriteOptions::default();
    match write(&body, context, |object| body.api.replace(&body.name, object, &options)) {
        // An earlier attempt of this very call was late.
        Err(error) if error.code() == "conflict" => match body.api.find(&body.name, &Query::new()) {
            Ok(Some(object)) if is_ours(&object, context) => Ok(object),
            _ => Err(error),
        },
        made => made,
    }
}

fn replaced(inputs: Replace, context: &Context) -> Result<Verdict<Json>, Error> {
    #[derive(Deserialize)]
    struct Versioned {
        metadata: Version,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        resource_version: Option<String>,
    }
    let body = body(inputs, context)?;
    let name = &body.name;
    let Some(object) = body.api.find(name, &Query::new())? else {
        return Ok(Verdict::Unknown(format!("`{name}` was removed since")));
    };
    if is_ours(&object, context) {
        return Ok(Verdict::Done(object));
    }
    let Versioned { metadata } = serde_json::from_str(object.get())?;
    Ok(if metadata.resource_version.as_deref() == body.resource_version() {
        Verdict::NotDone
    } else {
        Verdict::Unknown(format!("`{name}` was changed since, and does not say whether this call did it"))
    })
}

fn body(inputs: Replace, context: &Context) -> Result<Body, Error> {
    let body = Body::read(context, inputs.namespace, inputs.object, |_| None)?;
    if body.resource_version().is_none_or(str::is_empty) {
        let advice = "read the object, change it, and give it whole, so that nothing that others do meanwhile is lost";
        return Err(Error::invalid(format!("`object/metadata/resourceVersion` is missing: {advice}")));
    }
    Ok(body)
}

//! `create`.

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

/// What to make.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// For kinds that lie in namespaces; it may stand in the object in its place.
    namespace: Option<String>,
    /// The whole object, with `metadata.name` or `metadata.generateName`.
    object: Map<String, Value>,
}

/// Makes an object.
#[command(pattern = "kubernetes.{resource}.create.{version+}", effect = "verify", verify = created)]
pub fn create(inputs: Create, context: &Context) -> Result<Json, Error> {
    let body = body(inputs, context)?;
    let options = WriteOptions::default();
    match write(&body, context, |object| body.api.create(object, &options)) {
        // An earlier attempt of this very call was late.
        Err(error) if error.code() == "exists" => match body.api.find(&body.name, &Query::new()) {
            Ok(Some(object)) if is_ours(&object, context) => Ok(object),
            _ => Err(error),
        },
        made => made,
    }
}

fn created(inputs: Create, context: &Context) -> Result<Verdict<Json>, Error> {
    let body = body(inputs, context)?;
    Ok(match body.api.find(&body.name, &Query::new())? {
        None => Verdict::NotDone,
        Some(object) if is_ours(&object, context) => Verdict::Done(object),
        Some(_) => Verdict::Unknown(format!("`{}` is there, and does not say whether this call made it", body.name)),
    })
}

/// A name is made here, of the effect key: the API server would make another one at each attempt.
fn body(inputs: Create, context: &Context) -> Result<Body, Error> {
    Body::read(context, inputs.namespace, inputs.object, |prefix| {
        let key = context.effect_key.get(..8).unwrap_or(&context.effect_key);
        Some(format!("{prefix}{key}"))
    })
}

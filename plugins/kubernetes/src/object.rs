//! A whole object among the inputs.

use claiflow_sdk::{Context, Error, kubernetes::Api};
use serde_json::{Map, Value};

use crate::{json::Json, target};

/// The annotation of an object that a call made or replaced: its effect key, by which a later attempt knows its own work.
const EFFECT_KEY: &str = "claiflow.io/effect-key";

/// Where an object goes, and what it is.
pub(crate) struct Body {
    pub(crate) api: Api<Json>,
    pub(crate) name: String,
    /// It has `metadata`, with that name.
    object: Map<String, Value>,
}

impl Body {
    /// Name and namespace stand in the object, or beside it. The host adds kind and version where they are missing, and
    /// refuses others than those of the command.
    ///
    /// # Errors
    /// `invalid`, with the field.
    pub(crate) fn read(
        context: &Context,
        namespace: Option<String>,
        object: Map<String, Value>,
        make_name: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let mut object = object;
        let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        let Some(metadata) = metadata.as_object_mut() else {
            return Err(Error::invalid("`object/metadata` is no object"));
        };
        let namespace = match (namespace.filter(|given| !given.is_empty()), text(metadata, "namespace")?) {
            (Some(beside), Some(inside)) if beside != inside => {
                let message = format!("`namespace` is `{beside}`, and `object/metadata/namespace` is `{inside}`");
                return Err(Error::invalid(message));
            }
            (beside, inside) => beside.or(inside),
        };
        let name = match (text(metadata, "name")?, text(metadata, "generateName")?) {
            (Some(name), _) => Some(name),
            (None, Some(prefix)) => make_name(&prefix),
            (None, None) => None,
        };
        let name = name.ok_or_else(|| Error::invalid("`object/metadata/name` is missing"))?;
        metadata.remove("generateName");
        metadata.insert("name".to_owned(), name.clone().into());
        Ok(Self { api: target::place(context, namespace.as_deref())?, name, object })
    }

    /// As the caller gave it.
    pub(crate) fn plain(&self) -> Value {
        Value::Object(self.object.clone())
    }

    /// With the effect key of this call.
    pub(crate) fn marked(&self, context: &Context) -> Value {
        let mut object = self.object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
            if annotations.is_null() {
                *annotations = Value::Object(Map::new());
            }
            // Anything else is a mistake that the API server names.
            if let Some(annotations) = annotations.as_object_mut() {
                annotations.insert(EFFECT_KEY.to_owned(), context.effect_key.clone().into());
            }
        }
        Value::Object(object)
    }

    /// `metadata.resourceVersion`, if it is a text.
    pub(crate) fn resource_version(&self) -> Option<&str> {
        self.object.get("metadata")?.get("resourceVersion")?.as_str()
    }
}

/// Writes the object with the effect key of this call or, where the grant does not let that annotation pass, without it.
///
/// # Errors
/// That of the write without it, which is the caller's.
pub(crate) fn write(
    body: &Body,
    context: &Context,
    write: impl Fn(&Value) -> Result<Json, Error>,
) -> Result<Json, Error> {
    match write(&body.marked(context)) {
        Err(error) if error.code() == "denied" => write(&body.plain()),
        written => written,
    }
}

/// Whether the object is the work of this call.
pub(crate) fn is_ours(object: &Json, context: &Context) -> bool {
    let object: Value = serde_json::from_str(object.get()).unwrap_or_default();
    let key = object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(EFFECT_KEY)?.as_str());
    !context.effect_key.is_empty() && key == Some(context.effect_key.as_str())
}

fn text(metadata: &Map<String, Value>, field: &str) -> Result<Option<String>, Error> {
    match metadata.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::invalid(format!("`object/metadata/{field}` is no text"))),
    }
}

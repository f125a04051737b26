//! `exec`.

use std::{borrow::Cow, time::Duration};

use claiflow_sdk::{
    Applied, Context, Error, command,
    kubernetes::{Api, ExecOptions},
    task,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use crate::{former::Former, json::Json, target};

/// What of the output is kept, as it is written in JSON. A result has at most 1 MiB, and one that is too large would leave
/// in doubt what was done.
const KEPT_BYTES: usize = 768 << 10;
const PIECE: Duration = Duration::from_secs(2);

/// What to run where.
#[derive(Deserialize, JsonSchema)]
pub struct Exec {
    #[schemars(length(min = 1))]
    name: String,
    #[schemars(length(min = 1))]
    namespace: String,
    /// The program and its words. A text is split at its spaces; no shell reads it.
    command: Words,
    /// Absent: the annotated default, else the first.
    container_name: Option<String>,
}

/// What the program did. What is empty is left out.
#[derive(Serialize, JsonSchema, Default)]
pub struct Executed {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    stdout: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    stderr: String,
    /// Why it failed: an exit code other than 0, or a signal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    error: String,
    /// It wrote more than is kept, of which the end is missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// Runs a program in a pod's container. That it fails is a result too.
#[command(pattern = "kubernetes.{resource}.exec.{version+}", effect = "never")]
pub fn exec(inputs: Former<Exec>, context: &Context) -> Result<Executed, Error> {
    let Exec { name, namespace, command, container_name } = inputs.known();
    let pods: Api<Json> = target::place(context, Some(&namespace))?;
    if pods.resource().plural != "pods" {
        let message = format!("nothing runs in {}, only in pods: `kubernetes.pods.exec.v1`", pods.resource());
        return Err(Error::invalid(message).applied(Applied::No));
    }
    let container = container_name.as_deref().unwrap_or_default();
    let program = pods.exec(&name, container, &command.0, &ExecOptions::default())?;
    let (mut stdout, mut stderr, mut left, mut truncated) = (Vec::new(), Vec::new(), KEPT_BYTES, false);
    while let Some(piece) = program.read(PIECE).map_err(in_doubt)? {
        let kept = fitting(&piece.data, &mut left);
        truncated |= kept < piece.data.len();
        let kept = piece.data.get(..kept).unwrap_or_default();
        if piece.is_error {
            stderr.extend_from_slice(kept)
        } else {
            stdout.extend_from_slice(kept)
        }
        task::keep_going().map_err(in_doubt)?;
    }
    let error = program.failure().map_err(in_doubt)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Executed { stdout: text(&stdout), stderr: text(&stderr), error: error.unwrap_or_default(), truncated })
}

/// The program was started, and goes on or not.
fn in_doubt(error: Error) -> Error {
    error.applied(Applied::Unknown)
}

/// How many of the bytes fit into what is left. A control character takes six bytes of JSON, and what is no UTF-8 three.
pub(crate) fn fitting(bytes: &[u8], left: &mut usize) -> usize {
    for (index, byte) in bytes.iter().enumerate() {
        let size = match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
            0..=31 => 6,
            128.. => 3,
            _ => 1,
        };
        if size > *left {
            *left = 0;
            return index;
        }
        *left -= size;
    }
    bytes.len()
}

/// The words of a command.
pub struct Words(Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words: Option<Vec<String>> = match Value::deserialize(deserializer)? {
            Value::String(text) => Some(text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()),
            Value::Array(words) => words.iter().map(|word| word.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let words = words.filter(|words| words.first().is_some_and(|program| !program.is_empty()));
        words.map(Self).ok_or_else(|| D::Error::custom(r#"`command` is a program and its words, such as ["ls", "-l"]"#))
    }
}

impl JsonSchema for Words {
    fn schema_name() -> Cow<'static, str> {
        "Words".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": ["string", "array"], "minLength": 1, "minItems": 1, "items": {"type": "string"},
        })
    }
}

//! `$print`: the flow so far.

use serde_json::{Map, Value, json};

use crate::{
    flow::{Kind, Step},
    scope::Shown,
};

/// `{id, command, inputs, outputs}` for each step that is not hidden, a nested array for a range. Steps that have not run
/// appear without inputs and outputs. `prefix` stands before an inner step's id: `r[0].`.
pub(crate) fn printed(steps: &[Step], shown: &[Shown], prefix: &str, hidden: &[&str]) -> Vec<Value> {
    let mut list = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let name = format!("{prefix}{}", step.id);
        if hidden.contains(&name.as_str()) {
            continue;
        }
        match &step.kind {
            Kind::Command { command, .. } => list.push(call(&step.id, command, shown.get(index))),
            Kind::Range { steps, .. } => {
                let iterations = shown.get(index).map_or(&[][..], Shown::iterations).iter().enumerate();
                let inner = iterations.flat_map(|(at, shown)| printed(steps, shown, &format!("{name}[{at}]."), hidden));
                list.push(Value::Array(inner.collect()));
            }
            Kind::Print { .. } => {}
        }
    }
    list
}

fn call(id: &str, command: &str, shown: Option<&Shown>) -> Value {
    let mut entry = Map::from_iter([("id".into(), json!(id)), ("command".into(), json!(command))]);
    if let Some(Shown::Call { inputs, outputs }) = shown {
        entry.extend(inputs.iter().map(|inputs| ("inputs".into(), inputs.clone())));
        entry.insert("outputs".into(), outputs.clone());
    }
    entry.into()
}

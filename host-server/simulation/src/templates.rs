//! Flows of one to four steps of mixed classes; each call's inputs name the call before it.

use std::{sync::Arc, time::Duration};

use claiflow_agent::executor::commands::Effect;
use claiflow_server::model::{
    options::{Concurrency, Options},
    task::Snapshot,
};
use serde_json::{Value, json};

use crate::{chance::Chance, commands::NAMES};

/// See the module.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Paths of the calls that a run makes, in their order, with their classes.
    pub(crate) calls: Vec<(String, Effect)>,
}

impl Template {
    pub(crate) fn drawn(chance: &Chance, number: usize) -> Self {
        let (mut steps, mut calls, mut after) = (Vec::new(), Vec::new(), None::<String>);
        let step_max = chance.among(1, 4);
        for step in 0..step_max {
            let (command, effect) = chance.pick(&NAMES).copied().unwrap_or(("sim.read", Effect::Read));
            let mut inputs = after.map_or_else(|| json!({}), |after| json!({ "after": after }));
            let id = format!("s{step}");
            if chance.one_in(4) {
                let count = chance.among(1, 3);
                if let Some(inputs) = inputs.as_object_mut() {
                    inputs.insert("x".into(), Value::from(format!("${id}.val")));
                }
                let elements: Vec<usize> = (0..count).collect();
                let inner = json!([{ "$id": "p", "$command": command, "inputs": inputs }]);
                steps.push(json!({ "$id": id, "$range": elements, "$steps": inner }));
                calls.extend((0..count).map(|index| (format!("{step}/{id}[{index}]/p"), effect)));
                after = Some(format!("${id}[0].$p.outputs.entry"));
            } else {
                steps.push(json!({ "$id": id, "$command": command, "inputs": inputs }));
                calls.push((step.to_string(), effect));
                after = Some(format!("${id}.outputs.entry"));
            }
        }
        let limits = |chance: &Chance| chance.one_in(5).then(|| u32::try_from(chance.among(1, 2)).unwrap_or(1));
        let concurrency = Concurrency { cluster: limits(chance), total: limits(chance) };
        let grace = chance.one_in(4).then(|| Duration::from_secs(chance.among(1, 12) as u64));
        let snapshot = Snapshot {
            id: chance.id(),
            template_uuid: format!("template-{number}"),
            flow: Value::from(steps).to_string(),
            step_max,
            language_level: 0,
            commands: NAMES.map(|(name, _)| name.to_owned()).into(),
            options: Options { run_timeout: None, grace, concurrency, needs_agent: false },
            options_text: None,
        };
        Self { snapshot: Arc::new(snapshot), calls }
    }
}

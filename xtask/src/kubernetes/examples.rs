//! The stories of `examples/` that need a cluster, as a user follows them.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::house::House;
use crate::{
    cluster_of_two::CLUSTER,
    stories::{Needs, Story, stories},
};

/// Each gives what it says.
pub(super) fn told(house: &House<'_>) -> Result<()> {
    for story in stories()? {
        if let Some(ground) = story.ground.as_ref().filter(|ground| ground.needs == Needs::Kubernetes) {
            for manifest in &ground.manifests {
                house.plane.apply(manifest)?;
            }
            house.grant_text(&ground.pinned(|plugin| house.digest(plugin))?, || {
                ensure!(secrets(house)?.is_err(), "{}: its grants allow too much, or do not count yet", story.name);
                Ok(())
            })?;
            one(house, &story).with_context(|| story.name.clone())?;
        }
    }
    house.grant(&house.everything()?, || {
        ensure!(secrets(house)?.is_ok(), "the grants of a story still count");
        Ok(())
    })
}

/// What no story is granted.
fn secrets(house: &House<'_>) -> Result<Result<Value, String>> {
    house.call("kubernetes.secrets.list.v1", &json!({"namespace": "default"}))
}

fn one(house: &House<'_>, story: &Story) -> Result<()> {
    for template in &story.templates {
        house.pair.post("/api/v1/template", template)?;
    }
    for (request, expected) in &story.tasks {
        let created = house.pair.post("/api/v1/service", request)?;
        let uuid = created.pointer("/0/uuid").and_then(Value::as_str).context("no uuid in the answer")?;
        let task = house.pair.ended(uuid)?;
        ensure!(task.get("state") == Some(&json!("succeeded")), "{task}");
        let answer = house.pair.get(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}/result"))?;
        let result: Value = serde_json::from_str(answer.get("result").and_then(Value::as_str).unwrap_or_default())?;
        ensure!(result == *expected, "{request} gave {result}, not {expected}");
    }
    Ok(())
}

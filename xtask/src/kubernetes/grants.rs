//! What the plugin may do is what its grant and its account say, at every call.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::house::{House, NAMESPACE, PLUGIN_ACCOUNT};

/// The plugin's requests are its own account's; the agent's account asks for that token, and reads no object.
pub(super) fn identity(house: &House<'_>) -> Result<()> {
    let listed = house.call("kubernetes.configmaps.list.v1", &json!({"namespace": "default"}))?;
    ensure!(listed.as_ref().is_ok_and(|list| list["kind"] == "ConfigMapList"), "{listed:?}");
    let audit = house.plane.audit()?;
    let of = |account: &str, resource: &str| {
        let user = format!("system:serviceaccount:{NAMESPACE}:{account}");
        let seen =
            |entry: &&Value| entry["user"]["username"] == user.as_str() && entry["objectRef"]["resource"] == resource;
        audit.iter().filter(seen).count()
    };
    ensure!(of(PLUGIN_ACCOUNT, "configmaps") > 0, "the plugin's account listed nothing");
    ensure!(of("claiflow-agent", "configmaps") == 0, "the agent's own account listed ConfigMaps");
    ensure!(of("claiflow-agent", "serviceaccounts") > 0, "nobody asked for a token");
    Ok(())
}

/// A withdrawal counts from the next call on, and a denial says what would allow it.
pub(super) fn withdrawal(house: &House<'_>) -> Result<()> {
    let inputs = json!({"namespace": "default"});
    let rule = json!({"groups": [""], "resources": ["services"], "verbs": ["list"], "namespaces": ["default"]});
    let denied = || {
        let outcome = house.call("kubernetes.configmaps.list.v1", &inputs)?;
        let Err(said) = outcome else { anyhow::bail!("it is still allowed") };
        for part in ["may not list", "configmaps", "would allow it", "verbs: [list]"] {
            ensure!(said.contains(part), "{part} is not in: {said}");
        }
        Ok(())
    };
    house.grant(&house.only(&rule)?, denied)?;
    ensure!(house.call("kubernetes.services.list.v1", &inputs)?.is_ok(), "what is granted is refused");
    house.grant(&house.everything()?, || {
        ensure!(house.call("kubernetes.configmaps.list.v1", &inputs)?.is_ok(), "it is still denied");
        Ok(())
    })
}

/// What a person gets wrong is told by name, and nothing is changed.
pub(super) fn bad_input(house: &House<'_>) -> Result<()> {
    let pod = json!({"name": "no-such-pod", "namespace": "default"});
    let with = |object: &Value, key: &str, value: Value| {
        let mut object = object.clone();
        object[key] = value;
        object
    };
    let cases: [(&str, Value, &[&str]); 10] = [
        ("kubernetes.deploymnets.list.apps/v1", json!({}), &["deploymnets", "deployments"]),
        ("kubernetes.deployments.list.apps/v9", json!({}), &["v9", "v1"]),
        ("kubernetes.pods.gett.v1", pod.clone(), &["gett", "get"]),
        ("kubernetes.pods.get.v1", json!({"name": "web"}), &["namespace"]),
        ("kubernetes.nodes.get.v1", json!({"name": "node-0", "namespace": "default"}), &["namespace"]),
        ("kubernetes.pods.get.v1", pod.clone(), &["not found", "no-such-pod"]),
        ("kubernetes.pods.get.v1", json!({"name": "web-1/log", "namespace": "default"}), &["name"]),
        ("kubernetes.pods.get.v1", json!({"name": "web", "namespace": "a/../b"}), &["namespace"]),
        (
            "kubernetes.pods.patch.v1",
            with(&with(&pod, "patch_type", json!("json")), "patch_data", json!({"a": 1})),
            &["patch_data"],
        ),
        (
            "kubernetes.pods.patch.v1",
            with(&with(&pod, "patch_type", json!("magic")), "patch_data", json!({})),
            &["patch_type", "merge"],
        ),
    ];
    for (command, inputs, expected) in cases {
        let Err(said) = house.call(command, &inputs)? else { anyhow::bail!("{command} {inputs} succeeded") };
        for part in expected {
            ensure!(said.contains(part), "{command} {inputs}: {part} is not in: {said}");
        }
    }
    Ok(())
}

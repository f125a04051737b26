//! Whether the new pod template comes up.

use std::time::Duration;

use claiflow_sdk::{Error, clock, kubernetes::Query, task};
use serde_json::Value;

use super::{
    before::Before,
    place::{self, deployments, number, pods, text},
};

/// Between two looks: the agent that watches has 25 s from the moment when the new one is there.
const PAUSE: Duration = Duration::from_secs(2);
/// In the pod template, so that a rollout begins whatever else is changed: the effect key of the upgrade.
pub(super) const MARK: &str = "claiflow.io/upgrade";
/// What a container waits for that will not come by itself, as the kubelet says it.
const HOPELESS: [&str; 8] = [
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
];

/// How it ended.
pub(super) enum Came {
    Up,
    /// And why, for a person.
    NotUp(String),
}

/// The upgrade by which the template was changed last.
pub(super) fn mark(deployment: &Value) -> Option<&str> {
    deployment.pointer("/spec/template/metadata/annotations")?.get(MARK)?.as_str()
}

/// Whether every replica is of the template as it is now, and available, and no other is left.
pub(super) fn is_complete(deployment: &Value) -> bool {
    let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    let is = |pointer| number(deployment, pointer) == wanted;
    is_observed(deployment)
        && is("/status/updatedReplicas")
        && is("/status/availableReplicas")
        && is("/status/replicas")
}

fn is_observed(deployment: &Value) -> bool {
    number(deployment, "/status/observedGeneration") >= number(deployment, "/metadata/generation")
}

/// Looks until it is known, at most for `time`.
///
/// # Errors
/// `stopped`.
pub(super) fn follow(before: &Before, key: &str, time: Duration) -> Result<Came, Error> {
    let end = clock::monotonic() + time;
    loop {
        let seen = match look(before, key) {
            Ok(Look::Up) => return Ok(Came::Up),
            Ok(Look::Hopeless(why)) => return Ok(Came::NotUp(why)),
            Ok(Look::Under(what)) => what,
            // An API server that starts anew is no reason to give up.
            Err(error) if error.may_pass_later() => error.message().to_owned(),
            Err(error) if error.code() == "stopped" => return Err(error),
            Err(error) => return Ok(Came::NotUp(format!("it cannot be watched: {}", error.message()))),
        };
        if clock::monotonic() >= end {
            return Ok(Came::NotUp(format!("it was not available within {} s; at last: {seen}", time.as_secs())));
        }
        task::progress(0, 0, format_args!("{}: {seen}", before.wanted));
        task::sleep(PAUSE)?;
    }
}

enum Look {
    Up,
    Hopeless(String),
    Under(String),
}

fn look(before: &Before, key: &str) -> Result<Look, Error> {
    let deployment = deployments(&before.namespace).get(&before.deployment)?;
    if mark(&deployment) != Some(key) {
        return Ok(Look::Hopeless("somebody else changed the Deployment meanwhile".to_owned()));
    }
    if is_complete(&deployment) {
        return Ok(Look::Up);
    }
    if is_observed(&deployment)
        && let Some(why) = past_deadline(&deployment)
    {
        return Ok(Look::Hopeless(why));
    }
    let mut query = Query::new();
    let labels = deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    for (name, value) in labels.into_iter().flatten() {
        query = query.label(name, value.as_str().unwrap_or_default());
    }
    let mut under = format!(
        "{} of {} pods are new, {} pods are available",
        number(&deployment, "/status/updatedReplicas"),
        number(&deployment, "/status/replicas"),
        number(&deployment, "/status/availableReplicas"),
    );
    for pod in pods(&before.namespace).list(&query)? {
        let pod = pod?;
        let is_new = pod.pointer("/metadata/annotations").and_then(|it| it.get(MARK)?.as_str()) == Some(key);
        if !is_new || pod.pointer("/metadata/deletionTimestamp").is_some() {
            continue;
        }
        if let Some((reason, message)) = waiting(&pod) {
            let said = format!("the pod `{}` waits: {reason}{message}", place::name(&pod));
            if HOPELESS.contains(&reason) {
                return Ok(Look::Hopeless(said));
            }
            under = said;
        } else if let Some(why) = unschedulable(&pod) {
            under = format!("the pod `{}` is not scheduled: {why}", place::name(&pod));
        }
    }
    Ok(Look::Under(under))
}

fn past_deadline(deployment: &Value) -> Option<String> {
    let progressing = condition(deployment, "Progressing")?;
    let is_late = text(progressing, "/reason") == Some("ProgressDeadlineExceeded");
    is_late.then(|| text(progressing, "/message").unwrap_or("the Deployment made no progress in time").to_owned())
}

fn unschedulable(pod: &Value) -> Option<&str> {
    let scheduled = condition(pod, "PodScheduled").filter(|it| text(it, "/status") == Some("False"))?;
    text(scheduled, "/message").or(text(scheduled, "/reason"))
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| text(condition, "/type") == Some(kind))
}

/// What a container waits for: reason and message.
fn waiting(pod: &Value) -> Option<(&str, String)> {
    let of = |pointer| pod.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let statuses = of("/status/initContainerStatuses").chain(of("/status/containerStatuses"));
    let waiting = statuses.filter_map(|status| status.pointer("/state/waiting"));
    waiting.filter(|it| text(it, "/reason") != Some("PodInitializing")).find_map(|waiting| {
        let message = text(waiting, "/message").map(|message| format!(": {message}")).unwrap_or_default();
        Some((text(waiting, "/reason")?, message))
    })
}

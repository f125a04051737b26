//! Pods, where one of their subresources is meant.

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    grants::kubernetes::Object,
    kubernetes::{Actor, Cluster, Failure, Request, Unmanaged},
    plugin::bindings::claiflow::plugin::kubernetes_types::ApiResource,
};

/// Names the container that is meant where none is named.
const DEFAULT_CONTAINER: &str = "/metadata/annotations/kubectl.kubernetes.io~1default-container";
const POD_MAX_BYTES: usize = 4 << 20;

/// The subresource of pods that is meant, whether or not the guest says so.
pub(in crate::plugin::host) fn of_pod(resource: ApiResource, subresource: &str) -> Result<ApiResource, Failure> {
    let is_pods = resource.group.is_empty() && resource.plural == "pods";
    if !is_pods || !(resource.subresource.is_empty() || resource.subresource == subresource) {
        let message =
            format!("resource: only `pods` of the core group have the subresource `{subresource}` that is meant here");
        return Err(Failure::new("invalid", message));
    }
    Ok(ApiResource { subresource: subresource.to_owned(), ..resource })
}

/// The annotated container, else the first. None where the account may not read the pod: the API server then takes the only
/// one. Nothing else of the pod is used, and nothing of it reaches the guest.
pub(in crate::plugin::host) async fn default_container(
    cluster: &Cluster,
    actor: &Actor,
    pod: &Object,
    deadline: Instant,
) -> Option<String> {
    let served = cluster.served("", "", "pods", "", deadline).await.ok()?;
    let request = Request::get(&served.kind, pod).ok()?;
    let (Unmanaged(pod), _) = cluster.ask(actor, &request, POD_MAX_BYTES, deadline).await.ok()?;
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
    text(DEFAULT_CONTAINER).or_else(|| text("/spec/containers/0/name"))
}

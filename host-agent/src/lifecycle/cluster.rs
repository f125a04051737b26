//! The cluster in which the agent works: the way to its API, and which objects in it are the agent's own.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    config::{Agent, Kubernetes},
    grants::kubernetes::Own,
    kubernetes::{Cluster, Place},
    plugin::Runtime,
};

/// Objects of the agent come and go with its operator's hands.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const LOOK_MAX: Duration = Duration::from_secs(30);
/// A pod's name, in it.
const POD_VARIABLE: &str = "HOSTNAME";

/// The way to the API that the flags name; none where the agent is in no cluster.
///
/// # Errors
/// Which kubeconfig or account cannot be used, and why.
pub(super) async fn open(flags: &Kubernetes) -> Result<Option<Arc<Cluster>>, String> {
    let place = Place { kubeconfig: flags.kubeconfig.clone(), namespace: flags.namespace.clone() };
    let cluster = Cluster::open(place).await.map_err(|error| error.to_string())?;
    if let Some(cluster) = &cluster {
        tracing::info!(kubernetes.namespace = cluster.namespace(), "works on a cluster");
    }
    Ok(cluster)
}

/// The name of the pod that the agent is, or stands for; none for an agent elsewhere. Empty: nobody knows it.
pub(super) fn pod(agent: &Agent) -> Option<String> {
    let inside = || agent.kubernetes.kubeconfig.is_none().then(|| std::env::var(POD_VARIABLE).unwrap_or_default());
    agent.pod.clone().or_else(inside)
}

/// What is the agent's own before anybody looked. Where it is a pod that is all of its namespace; an agent elsewhere owns
/// nothing of the cluster that its kubeconfig names but the Secret of credentials.
pub(super) fn own(pod: Option<&str>, cluster: Option<&Cluster>) -> Own {
    match cluster {
        Some(cluster) if pod.is_some() => {
            Own { namespace: cluster.namespace().to_owned(), whole_namespace: true, ..Own::default() }
        }
        Some(cluster) => Own { credentials: cluster.namespace().to_owned(), ..Own::default() },
        None => Own::default(),
    }
}

/// Finds out which kinds there are, so that the first call does not wait for it, and goes on finding out what is the agent's own.
pub(super) fn follow(pod: Option<String>, cluster: Option<Arc<Cluster>>, runtime: &Arc<Runtime>) {
    let Some(cluster) = cluster else { return };
    let runtime = Arc::downgrade(runtime);
    tokio::spawn(async move {
        if let Err(error) = cluster.catalogue(Instant::now() + LOOK_MAX).await {
            let failure = error.failure(|status| status);
            tracing::warn!("the cluster's kinds are not known yet: {failure}");
        }
        let Some(pod) = pod else { return };
        let mut said = String::new();
        loop {
            let (own, unknown) = cluster.own(&pod, Instant::now() + LOOK_MAX).await;
            let why = unknown.map(|failure| failure.message).unwrap_or_default();
            if why != said && !why.is_empty() {
                tracing::warn!(
                    "no plugin may touch anything in the agent's namespace: what of it is its own is not known: {why}"
                );
            }
            said = why;
            let Some(runtime) = runtime.upgrade() else { return };
            runtime.own(own);
            drop(runtime);
            sleep(LOOK_AGAIN).await;
        }
    });
}

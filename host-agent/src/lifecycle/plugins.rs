//! Where plugins come from: the directories that the operator mounts, and what the agent fetches into its own.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tokio::sync::watch;

use crate::{
    config::Agent,
    control::Control,
    fetch::{Missed, Registries, Shelf, artifacts, config_maps},
    grants::Grants,
    http::outgoing,
    kubernetes::Cluster,
    metrics::Metrics,
    plugin::{self, Runtime, SystemClock},
};

use super::{cluster, credentials, processes};

/// Opens the runtime over all of them, and begins to fetch once the grants file has been read.
///
/// # Errors
/// Which flag or directory cannot be used.
pub(super) async fn open(
    agent: &Agent,
    program: PathBuf,
    slots: usize,
    metrics: &Metrics,
    control: Control,
) -> Result<Arc<Runtime>, String> {
    let kubernetes = cluster::open(&agent.kubernetes).await?;
    let pod = cluster::pod(agent).filter(|_| kubernetes.is_some());
    let (missed, misses) = watch::channel(Arc::new(Missed::new()));
    let registries = Registries::open(&agent.registry_plain, agent.registry_credentials.as_deref())
        .map_err(|error| format!("--registry-credentials: {error}"))?;
    let fetched = agent.state.join("fetched");
    let unusable = |error| format!("--state {}: {error}", agent.state.display());
    let maps = match &kubernetes {
        None if agent.plugin_configmaps => {
            return Err(
                "--plugin-configmaps: the agent is in no cluster with its account mounted; `--kubeconfig FILE` names \
                        one"
                .to_owned(),
            );
        }
        Some(cluster) if agent.plugin_configmaps => {
            let shelf = Shelf::open(fetched.join("configmaps"), missed.clone()).map_err(unusable)?;
            Some((shelf, cluster.client().clone(), cluster.namespace().to_owned()))
        }
        _ => None,
    };
    let shelf = Shelf::open(fetched.join("artifacts"), missed).map_err(unusable)?;

    let mut config = plugin::Config::new(agent.plugins.clone(), program.clone());
    config.plugins.extend(maps.as_ref().map(|(shelf, ..)| shelf.directory().to_owned()));
    config.plugins.push(shelf.directory().to_owned());
    config.missed = Some(misses);
    config.grants.clone_from(&agent.grants);
    config.cache = Some(agent.compiled());
    config.slots = config.slots.max(slots);
    config.host_calls = metrics.host_calls();
    config.own = cluster::own(pod.as_deref(), kubernetes.as_deref());
    config.control = Some(control);
    config.identity = plugin::Identity {
        cluster: agent.clusteruuid.clone().unwrap_or_default(),
        namespace: kubernetes.as_deref().map(|cluster| cluster.namespace().to_owned()).unwrap_or_default(),
        pod: pod.clone().unwrap_or_default(),
    };
    config.credentials = credentials::open(agent, kubernetes.as_ref());
    config.http = outgoing(config.credentials.clone(), kubernetes.as_deref().and_then(Cluster::address), None).await;
    config.processes = Some(processes::open(agent, program)?);
    config.cluster.clone_from(&kubernetes);
    let runtime = Runtime::open(config, Arc::new(SystemClock::new())).map_err(|error| error.to_string())?;

    if let Some((shelf, client, namespace)) = maps {
        tokio::spawn(config_maps(shelf, client, namespace));
    }
    cluster::follow(pod, kubernetes, &runtime);

    let (wanted, wants) = watch::channel(Arc::default());
    let granted = runtime.clone();
    tokio::spawn(async move {
        // Before the grants were read nothing is wanted, and what is not wanted is removed.
        granted.settled().await;
        tokio::spawn(artifacts(shelf, registries, wants));
        follow(granted.grants(), &wanted).await;
    });
    Ok(runtime)
}

/// Says which artifacts the grants name, whenever they change.
async fn follow(mut grants: watch::Receiver<Arc<Grants>>, wanted: &watch::Sender<Arc<BTreeMap<String, String>>>) {
    loop {
        let named = grants.borrow_and_update().plugins.clone();
        let named = named.into_iter().filter_map(|(name, grant)| Some((name, grant.artifact?))).collect();
        wanted.send_if_modified(|before| {
            let changed = **before != named;
            *before = Arc::new(named);
            changed
        });
        if grants.changed().await.is_err() {
            return;
        }
    }
}

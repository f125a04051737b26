//! What every call into the cluster's API goes through: it is counted, its grant is read, its kind is looked up, it is
//! authorised, and what becomes of it is measured.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    grants::{
        Grant, System,
        kubernetes::{Access, Allowed, Caller as Asking, Denial, IdentityBy, Invalid, Kind, authorise, shape},
    },
    kubernetes::{Actor, Cluster, Effect, Error, Failure, Served},
    metrics::HostCall,
    plugin::{
        bindings::claiflow::plugin::{kubernetes_types::ApiResource, types},
        state::CallState,
    },
    telemetry::Parent,
};

/// No single request takes longer, however much time the call has.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// One call while it is made.
pub(in crate::plugin::host) struct Made {
    verb: &'static str,
    /// Of the kind as discovery has it.
    resource: String,
    began: Duration,
    /// It waits for news, and how long says nothing of the API.
    waits: bool,
}

impl Made {
    /// Of what is no kind of the cluster.
    pub(in crate::plugin::host) fn about(mut self, resource: &str) -> Self {
        resource.clone_into(&mut self.resource);
        self
    }

    /// Now it is known which kind is meant.
    pub(in crate::plugin::host) fn of(&mut self, kind: &Kind) {
        self.resource = kind.to_string();
    }

    /// Now it is known which program is meant.
    pub(in crate::plugin::host) fn program(&mut self, profile: &str) {
        profile.clone_into(&mut self.resource);
    }
}

impl CallState {
    pub(in crate::plugin::host) fn making(&self, verb: &'static str) -> Made {
        Made { verb, resource: String::new(), began: self.standing.clock.monotonic(), waits: false }
    }

    pub(in crate::plugin::host) fn waiting(&self, verb: &'static str) -> Made {
        Made { waits: true, ..self.making(verb) }
    }

    /// The answer as the guest gets it.
    pub(in crate::plugin::host) fn made<T>(
        &self,
        made: &Made,
        answer: Result<T, Failure>,
    ) -> wasmtime::Result<Result<T, types::Failure>> {
        self.standing.caller.surroundings.host_calls.count(HostCall {
            plugin: &self.standing.caller.plugin,
            verb: made.verb,
            resource: &made.resource,
            outcome: answer.as_ref().map_or_else(|failure| failure.code, |_| "ok"),
            took: (!made.waits).then(|| self.standing.clock.monotonic().saturating_sub(made.began)),
            parent: Parent::here(),
        });
        Ok(answer.map_err(|failure| types::Failure {
            code: failure.code.to_owned(),
            details: Some(failure.details().to_string()),
            message: failure.message,
        }))
    }

    /// Counts the call, and answers whom it goes to.
    pub(in crate::plugin::host) fn enter(&mut self) -> Result<Arc<Cluster>, Failure> {
        self.standing.count()?;
        self.standing.caller.surroundings.cluster.clone().ok_or_else(|| {
            Failure::new(
                "unavailable",
                "this agent has no cluster: it runs in none with its account mounted, and was given no `--kubeconfig`",
            )
        })
    }

    /// Whether the call may leave something behind now.
    pub(in crate::plugin::host) fn may_write(&self, dry_run: bool) -> Result<(), Failure> {
        Ok(self.standing.may_write(dry_run)?)
    }

    /// Until when one request may take: a little less than the call, which then still has time to say what happened.
    pub(in crate::plugin::host) fn deadline(&self) -> Instant {
        Instant::now() + self.standing.time_left().min(REQUEST_MAX)
    }

    /// Until when the call waits for news.
    pub(in crate::plugin::host) fn until(&self, timeout_ms: u32) -> Instant {
        Instant::now() + self.standing.time_left().min(Duration::from_millis(timeout_ms.into()))
    }

    /// What may be read of one answer.
    pub(in crate::plugin::host) fn room(&self) -> usize {
        usize::try_from(self.memory.room_bytes()).unwrap_or(usize::MAX)
    }

    /// The one decision, over the grants as they are now.
    pub(in crate::plugin::host) fn authorise(&self, access: &Access<'_>) -> Result<(Allowed, Actor), Failure> {
        let caller = &self.standing.caller;
        let current = caller.surroundings.authority.current();
        let nothing = Grant::default();
        let grant = current.grant_of(&caller.plugin, &caller.digest).unwrap_or(&nothing);
        // What may end the agent is part of it.
        let built_in = grant.system.contains(&System::Agent);
        let asking = Asking { plugin: &caller.plugin, built_in, own: &current.own };
        let allowed = authorise(grant, &asking, access).map_err(denied)?;
        if let Some(cluster) = &caller.surroundings.cluster {
            cluster.judged(access);
        }
        Ok((allowed, actor(grant, &caller.plugin)))
    }
}

/// As whom the plugin acts over the cluster's API.
pub(in crate::plugin::host) fn actor(grant: &Grant, plugin: &str) -> Actor {
    let account = || grant.identity.account_of(plugin);
    match grant.identity.by {
        IdentityBy::Token => Actor::Account(account()),
        IdentityBy::Impersonate => Actor::Impersonated(account()),
        IdentityBy::Agent => Actor::Agent,
    }
}

/// The kind as discovery has it, of what passed the shape check.
pub(in crate::plugin::host) async fn served(
    cluster: &Cluster,
    made: &mut Made,
    asked: &ApiResource,
    deadline: Instant,
) -> Result<Arc<Served>, Failure> {
    let ApiResource { group, version, plural, subresource } = asked;
    shape::resource(group, version, plural, subresource).map_err(invalid)?;
    let served = cluster.served(group, version, plural, subresource, deadline).await;
    let served = served.map_err(|error| error.failure(|status| status))?;
    made.of(&served.kind);
    Ok(served)
}

/// What an API server said, as the guest may see it.
pub(in crate::plugin::host) fn shown(allowed: &Allowed) -> impl FnOnce(Error) -> Failure + '_ {
    |error| error.failure(|status| allowed.show_status(status))
}

/// A guest's text that is no such thing.
pub(in crate::plugin::host) fn invalid(error: Invalid) -> Failure {
    Failure::new("invalid", error.to_string())
}

/// What is not granted, and what would allow it.
pub(in crate::plugin::host) fn denied(denial: Denial) -> Failure {
    Failure::new(denial.code, denial.to_string())
}

/// An object as the guest sees it, as JSON text. What may not be seen at all is an empty object.
pub(in crate::plugin::host) fn answer(
    allowed: &Allowed,
    object: Value,
    fields: Option<&crate::grants::kubernetes::Mask>,
    effect: Effect,
) -> Result<String, Failure> {
    let shown = allowed.show(object).map(|object| match fields {
        Some(fields) => allowed.project(object, fields),
        None => object,
    });
    let shown = shown.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    serde_json::to_string(&shown)
        .map_err(|error| Failure::new("failed", format!("the answer cannot be handed over: {error}")).with(effect))
}

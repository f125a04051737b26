//! What a plugin may touch, over the kinds that the cluster has.

use serde_json::{Value, json};

use crate::{
    grants::kubernetes::{Verb, reach},
    kubernetes::{Failure, Served},
    plugin::state::CallState,
};

/// Grants that name everything, on a cluster with very many kinds.
const ENTRIES_MAX: usize = 10_000;

impl CallState {
    pub(super) async fn reachable(&mut self) -> Result<String, Failure> {
        let cluster = self.enter()?;
        let catalogue = cluster.catalogue(self.deadline()).await.map_err(|error| error.failure(|status| status))?;
        let caller = &self.standing.caller;
        let current = caller.surroundings.authority.current();
        let Some(grant) = current.grant_of(&caller.plugin, &caller.digest) else { return Ok("[]".to_owned()) };
        let mut entries = Vec::new();
        for served in catalogue.served() {
            let kind = &served.kind;
            for reach in reach(grant, kind) {
                let verbs: Vec<_> =
                    reach.verbs.iter().filter(|verb| has(served, **verb)).map(|verb| verb.as_str()).collect();
                if verbs.is_empty() || entries.len() >= ENTRIES_MAX {
                    continue;
                }
                cluster.found(served);
                entries.push(json!({
                    "group": kind.group,
                    "version": kind.version,
                    // As the grants file writes it: a subresource is none of the resource's own.
                    "plural": kind.resource(),
                    "kind": kind.kind,
                    "namespaced": kind.namespaced,
                    "verbs": verbs,
                    "namespaces": reach.namespaces,
                    "names": reach.names,
                }));
            }
        }
        let text = Value::Array(entries).to_string();
        self.memory.pass(text.len());
        Ok(text)
    }
}

/// Whether the API serves it: a grant may name more.
fn has(served: &Served, verb: Verb) -> bool {
    let served_as = match verb {
        Verb::Apply | Verb::ForceApply => "patch",
        verb => verb.as_str(),
    };
    served.verbs.iter().any(|verb| verb == served_as)
}

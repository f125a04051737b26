//! What counts now: the operator's grants and the agent's own objects, read anew at every host call.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::grants::{
    Grant, Grants,
    kubernetes::{IdentityBy, Own},
};

/// Both, as one thing that is swapped whole.
pub(super) struct Authority {
    now: ArcSwap<Current>,
    parts: Mutex<(Grants, Own)>,
}

/// What counts at one moment.
#[derive(Default)]
pub(super) struct Current {
    grants: Grants,
    pub(super) own: Arc<Own>,
}

impl Authority {
    /// Nothing is granted yet.
    pub(super) fn new(own: Own) -> Self {
        let now = Current { grants: Grants::default(), own: Arc::new(own.clone()) };
        Self { now: ArcSwap::from_pointee(now), parts: Mutex::new((Grants::default(), own)) }
    }

    pub(super) fn current(&self) -> Arc<Current> {
        self.now.load_full()
    }

    pub(super) fn grant(&self, grants: &Grants) {
        self.change(|(granted, _)| granted.clone_from(grants));
    }

    pub(super) fn own(&self, own: Own) {
        self.change(|(_, owned)| *owned = own);
    }

    fn change(&self, change: impl FnOnce(&mut (Grants, Own))) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        let (grants, mut own) = parts.clone();
        // Who could change a plugin's account would decide what that plugin may do.
        let accounts = grants.plugins.iter().filter(|(_, grant)| grant.identity.by != IdentityBy::Agent);
        own.accounts.extend(accounts.map(|(plugin, grant)| grant.identity.account_of(plugin)));
        self.now.store(Arc::new(Current { grants, own: Arc::new(own) }));
    }
}

impl Current {
    /// The plugin's grant, where it is for this very file.
    pub(super) fn grant_of(&self, plugin: &str, digest: &[u8; 32]) -> Option<&Grant> {
        let is_this = |grant: &&Grant| grant.sha256.is_none_or(|pinned| pinned == *digest);
        self.grants.plugins.get(plugin).filter(is_this)
    }
}

#[cfg(test)]
mod tests {
    use super::Authority;
    use crate::grants::{Grants, kubernetes::Own};

    fn granted(text: &str) -> Grants {
        Grants::parse(text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
    }

    #[test]
    fn a_grant_counts_for_the_file_that_it_pins_and_until_it_is_withdrawn() {
        let authority = Authority::new(Own::default());
        assert!(authority.current().grant_of("tool", &[0xab; 32]).is_none());
        authority.grant(&granted(&format!("plugins: {{tool: {{sha256: \"{}\"}}}}", "ab".repeat(32))));
        assert!(authority.current().grant_of("tool", &[0xab; 32]).is_some());
        assert!(authority.current().grant_of("tool", &[0; 32]).is_none());
        assert!(authority.current().grant_of("other", &[0xab; 32]).is_none());
        authority.grant(&Grants::default());
        assert!(authority.current().grant_of("tool", &[0xab; 32]).is_none());
    }

    #[test]
    fn accounts_of_plugins_are_the_agents_own() {
        let authority = Authority::new(Own::default());
        authority.grant(&granted("plugins: {tool: {}, named: {account: robot}, self: {identity: agent}}"));
        authority.own(Own { namespace: "claiflow".into(), accounts: ["controller".into()].into(), ..Own::default() });
        let current = authority.current();
        assert!(current.own.accounts.iter().eq(["claiflow-plugin-tool", "controller", "robot"]), "{:?}", current.own);
    }
}

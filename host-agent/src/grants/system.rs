//! Parts of the agent itself: who may change them.

use super::{Denial, Grant, SYSTEM_PLUGIN, System};

impl Grant {
    /// Whether the plugin may change this part of the agent.
    ///
    /// # Errors
    /// A [`Denial`] with what would allow it.
    pub fn changes(&self, plugin: &str, part: System) -> Result<(), Denial> {
        if plugin == SYSTEM_PLUGIN && self.system.contains(&part) {
            return Ok(());
        }
        let part = part.as_str();
        let allow = format!("plugins: {{{SYSTEM_PLUGIN}: {{system: [{part}]}}}}");
        Err(Denial::denied(
            format!("the plugin `{plugin}` may not change the agent's own {part}"),
            (plugin == SYSTEM_PLUGIN).then_some(allow),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{Grant, SYSTEM_PLUGIN, System};

    #[test]
    fn a_part_of_the_agent_is_changed_by_one_plugin_alone() {
        let grant = Grant { system: [System::Credentials].into(), ..Grant::default() };
        assert!(grant.changes(SYSTEM_PLUGIN, System::Credentials).is_ok());
        let denial = grant.changes(SYSTEM_PLUGIN, System::Agent).unwrap_err();
        assert_eq!(denial.allow.as_deref(), Some("plugins: {claiflow: {system: [agent]}}"));
        let denial = grant.changes("tool", System::Credentials).unwrap_err();
        assert!(denial.code == "denied" && denial.allow.is_none(), "{denial}");
    }
}

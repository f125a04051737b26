//! As whom a plugin acts over the cluster's API.

/// A plugin's account, and the way to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The ServiceAccount in the agent's namespace; none: `claiflow-plugin-<name>`.
    pub account: Option<String>,
    /// How the plugin comes to act as that account.
    pub by: IdentityBy,
}

/// See [`Identity::by`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityBy {
    /// With a token of the account, which the agent may make.
    #[default]
    Token,
    /// With the agent's own token, and headers that impersonate the account.
    Impersonate,
    /// As the agent itself, with all that it may do.
    Agent,
}

impl Identity {
    /// The account's name, whichever way leads to it.
    #[must_use]
    pub fn account_of(&self, plugin: &str) -> String {
        self.account.clone().unwrap_or_else(|| format!("claiflow-plugin-{plugin}"))
    }
}

impl IdentityBy {
    /// As the grants file writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Impersonate => "impersonate",
            Self::Agent => "agent",
        }
    }
}

//! What a call is made of: programs one after the other, and what is kept of their work.

use super::checked::RepositoryName;

/// Runs of the program. The last one's output is the call's; of the others only their complaints are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    /// Argument vectors, without the program itself.
    pub(super) runs: Vec<Vec<String>>,
    /// What is kept with the agent once all went well.
    pub(super) keep: Option<Keep>,
}

/// What outlives a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// A repository, and its index.
    Repository { name: RepositoryName, url: String, credential: Option<String> },
    /// The index of a repository that is kept already.
    Index(RepositoryName),
}

//! The profiles: which there are, what each leaves behind, what each needs.

use std::{fmt, time::Duration};

/// Work that only reads is ended soon.
const READ_GRACE: Duration = Duration::from_secs(3);
/// Work that changes a release may take it back when it is asked to end.
const WRITE_GRACE: Duration = Duration::from_secs(20);

/// What a program may be started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Profile {
    Install,
    Upgrade,
    Rollback,
    Uninstall,
    History,
    Status,
    GetValues,
    List,
    Template,
    RepoAdd,
    RepoUpdate,
    RepoList,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Install,
        Self::Upgrade,
        Self::Rollback,
        Self::Uninstall,
        Self::History,
        Self::Status,
        Self::GetValues,
        Self::List,
        Self::Template,
        Self::RepoAdd,
        Self::RepoUpdate,
        Self::RepoList,
    ];

    /// The profile of a name, such as `helm.upgrade`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// As the grants file and plugins write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Install => "helm.install",
            Self::Upgrade => "helm.upgrade",
            Self::Rollback => "helm.rollback",
            Self::Uninstall => "helm.uninstall",
            Self::History => "helm.history",
            Self::Status => "helm.status",
            Self::GetValues => "helm.get_values",
            Self::List => "helm.list",
            Self::Template => "helm.template",
            Self::RepoAdd => "helm.repo_add",
            Self::RepoUpdate => "helm.repo_update",
            Self::RepoList => "helm.repo_list",
        }
    }

    /// Whether it leaves something behind, in the cluster or with the agent.
    #[must_use]
    pub const fn has_effect(self) -> bool {
        self.changes_release() || matches!(self, Self::RepoAdd | Self::RepoUpdate)
    }

    /// Whether it changes a release.
    #[must_use]
    pub const fn changes_release(self) -> bool {
        matches!(self, Self::Install | Self::Upgrade | Self::Rollback | Self::Uninstall)
    }

    /// Whether it speaks with the cluster, and so needs an account of it.
    #[must_use]
    pub const fn needs_cluster(self) -> bool {
        !matches!(self, Self::Template | Self::RepoAdd | Self::RepoUpdate | Self::RepoList)
    }

    /// Whether it reads values from its standard input.
    #[must_use]
    pub const fn reads_values(self) -> bool {
        matches!(self, Self::Install | Self::Upgrade | Self::Template)
    }

    /// How long it may go on after it was asked to end.
    #[must_use]
    pub const fn grace(self) -> Duration {
        if self.changes_release() { WRITE_GRACE } else { READ_GRACE }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;
    use crate::grants::PROFILES;

    #[test]
    fn the_grants_file_knows_the_same_names() {
        let mut names: Vec<_> = Profile::ALL.iter().map(|profile| profile.name()).collect();
        names.sort_unstable();
        assert_eq!(names, PROFILES);
        assert!(names.iter().all(|name| Profile::named(name).is_some_and(|profile| profile.name() == *name)));
        assert_eq!(Profile::named("helm.*"), None);
    }
}

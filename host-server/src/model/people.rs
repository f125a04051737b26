//! Who calls the management routes, and how far they may reach.

/// What a caller may do; each role may also do what the one before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Also creates tasks and decides about them.
    Operator,
    /// Also changes clusters, templates, webhooks, variables, schedules and tokens, and reads the audit trail.
    Admin,
}

impl Role {
    /// All, from the least to the most.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The word of configuration, API and claims.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// What a caller's rights end at; none is no end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Uuids of clusters.
    pub clusters: Option<Vec<String>>,
    /// Uuids of templates.
    pub templates: Option<Vec<String>>,
}

/// Somebody who was recognised, or `anonymous` with all rights where nobody has to say who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Stands in the audit trail and as `created_by`: `token:NAME`, `oidc:SUBJECT`, `anonymous`.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// To what.
    pub scope: Scope,
}

impl Caller {
    /// Who calls where `auth.mode` is `none`.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { name: "anonymous".into(), role: Role::Admin, scope: Scope::default() }
    }
}

//! Who calls the management routes, and how far they may reach.

use super::ids::lookup;

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

impl Scope {
    /// Whether nothing is out of reach.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.clusters.is_none() && self.templates.is_none()
    }

    /// Whether the cluster is within reach; its uuid in any spelling.
    #[must_use]
    pub fn has_cluster(&self, uuid: &str) -> bool {
        self.clusters.as_ref().is_none_or(|all| all.iter().any(|one| lookup(one) == lookup(uuid)))
    }

    /// Whether the template is within reach; its uuid in any case.
    #[must_use]
    pub fn has_template(&self, uuid: &str) -> bool {
        self.templates.as_ref().is_none_or(|all| all.iter().any(|one| one.eq_ignore_ascii_case(uuid)))
    }
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

/// A request of somebody who was recognised, as the audit trail names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who asks.
    pub caller: Caller,
    /// The operation's id, such as `create_cluster`.
    pub operation: &'static str,
    /// From where: the address of the connection; empty where there is none.
    pub address: String,
    /// Under which request id.
    pub request_id: String,
}

/// A token of the API, as it is stored: what it shows is not.
#[derive(Clone, Debug, sqlx::FromRow)]
#[allow(missing_docs, reason = "columns")]
pub struct ApiToken {
    pub id: i64,
    pub uuid: String,
    pub name: String,
    pub summary: Option<String>,
    pub role: String,
    /// A JSON array of uuids; NULL is all.
    pub clusters: Option<String>,
    /// A JSON array of uuids; NULL is all.
    pub templates: Option<String>,
    /// SHA-256 of what it shows.
    pub digest: Vec<u8>,
    pub expires_at: Option<i64>,
    pub last_used: Option<i64>,
    pub created: i64,
    pub updated: i64,
    pub deleted: Option<i64>,
}

impl ApiToken {
    /// What its bearer may do, and to what; none for a role that nobody knows, which may do nothing.
    #[must_use]
    pub fn caller(&self) -> Option<Caller> {
        let scope = Scope { clusters: list(self.clusters.as_deref())?, templates: list(self.templates.as_deref())? };
        Some(Caller { name: format!("token:{}", self.name), role: Role::of(&self.role)?, scope })
    }
}

/// A stored list; none where it cannot be read, so that nobody takes it for no end.
fn list(text: Option<&str>) -> Option<Option<Vec<String>>> {
    text.map(serde_json::from_str).transpose().ok()
}

#[cfg(test)]
mod tests {
    use super::{ApiToken, Role, Scope};

    #[test]
    fn a_scope_knows_uuids_in_any_spelling_and_an_empty_list_holds_nothing() {
        let scope = Scope { clusters: Some(vec!["0000000000000000000000000000000A".into()]), templates: Some(vec![]) };
        assert!(scope.has_cluster("00000000-0000-0000-0000-00000000000a") && !scope.has_cluster(&"0".repeat(32)));
        assert!(!scope.has_template("t") && !scope.is_whole());
        assert!(Scope::default().has_template("t") && Scope::default().is_whole());
        let scope = Scope { templates: Some(vec!["Restart".into()]), ..Scope::default() };
        assert!(scope.has_template("restart") && scope.has_cluster("anything"));
    }

    #[test]
    fn a_row_that_cannot_be_understood_lets_nobody_in() {
        let row = |role: &str, clusters: Option<&str>| ApiToken {
            id: 1,
            uuid: "u".into(),
            name: "ci".into(),
            summary: None,
            role: role.into(),
            clusters: clusters.map(str::to_owned),
            templates: None,
            digest: vec![],
            expires_at: None,
            last_used: None,
            created: 0,
            updated: 0,
            deleted: None,
        };
        assert!(row("root", None).caller().is_none());
        assert!(row("admin", Some("all")).caller().is_none());
        let caller = row("operator", Some(r#"["a"]"#)).caller().unwrap();
        assert_eq!((caller.name.as_str(), caller.role), ("token:ci", Role::Operator));
        assert_eq!(caller.scope.clusters, Some(vec!["a".to_owned()]));
    }
}

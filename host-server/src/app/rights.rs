//! Who may do what: one table by operation, and how a scope ends a right. What does not stand here is refused.

use super::{App, Error, cluster::no_cluster};
use crate::model::{
    ids::lookup,
    people::{Caller, Role, Scope},
};

/// Who may ask for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever reaches the address: probes, and what watches the server.
    Anybody,
    /// Agents, which show a session of their own.
    Agents,
    /// People of this role, and of those above it.
    People(Role),
}

/// What an operation touches, so that a scope can end there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The installation: nothing for a caller with a scope.
    Whole,
    /// What a body names, or the rows of a list: the use case keeps to the scope.
    Named,
    /// The same of what belongs to clusters alone, so that a scope of templates has no part in it.
    OfClusters,
    /// The cluster that the path names.
    Cluster,
    /// The template that the path names.
    Template,
    /// The task that the path names.
    Task,
    /// The cluster token that the path names.
    ClusterToken,
    /// The session that the path names.
    Session,
}

/// The nouns that people change, as the audit trail names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Noun {
    Cluster,
    ClusterToken,
    Session,
    Template,
    Service,
    ApiToken,
}

impl Noun {
    /// The word of paths and of the audit trail.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::ClusterToken => "cluster_token",
            Self::Session => "session",
            Self::Template => "template",
            Self::Service => "service",
            Self::ApiToken => "api_token",
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// The operation's id, as in the OpenAPI document.
    pub operation: &'static str,
    /// Who may ask for it.
    pub who: Who,
    /// What it touches.
    pub reach: Reach,
    /// What it changes; none: it only reads.
    pub changes: Option<Noun>,
}

const fn open(operation: &'static str, who: Who) -> Right {
    Right { operation, who, reach: Reach::Whole, changes: None }
}

const fn reads(operation: &'static str, role: Role, reach: Reach) -> Right {
    Right { operation, who: Who::People(role), reach, changes: None }
}

const fn changes(operation: &'static str, role: Role, reach: Reach, noun: Noun) -> Right {
    Right { operation, who: Who::People(role), reach, changes: Some(noun) }
}

use Role::{Admin, Operator, Viewer};

/// The table. A route that does not stand here is refused to everybody.
pub const TABLE: &[Right] = &[
    open("healthz", Who::Anybody),
    open("readyz", Who::Anybody),
    open("metrics", Who::Anybody),
    open("authenticate", Who::Agents),
    open("poll", Who::Agents),
    open("report", Who::Agents),
    reads("list_clusters", Viewer, Reach::Named),
    reads("get_cluster", Viewer, Reach::Cluster),
    reads("cluster_alive", Viewer, Reach::Cluster),
    reads("session_alive", Viewer, Reach::Cluster),
    reads("list_plugins", Viewer, Reach::Cluster),
    reads("list_commands", Viewer, Reach::Cluster),
    changes("create_cluster", Admin, Reach::Whole, Noun::Cluster),
    changes("change_cluster", Admin, Reach::Cluster, Noun::Cluster),
    changes("delete_cluster", Admin, Reach::Cluster, Noun::Cluster),
    reads("list_tokens", Admin, Reach::OfClusters),
    reads("get_token", Admin, Reach::ClusterToken),
    changes("create_token", Admin, Reach::OfClusters, Noun::ClusterToken),
    changes("change_token", Admin, Reach::ClusterToken, Noun::ClusterToken),
    changes("refresh_token", Admin, Reach::ClusterToken, Noun::ClusterToken),
    changes("expire_token", Admin, Reach::ClusterToken, Noun::ClusterToken),
    changes("delete_token", Admin, Reach::ClusterToken, Noun::ClusterToken),
    reads("list_sessions", Admin, Reach::OfClusters),
    reads("get_session", Admin, Reach::Session),
    changes("revoke_session", Admin, Reach::Session, Noun::Session),
    reads("list_templates", Viewer, Reach::Named),
    reads("get_template", Viewer, Reach::Template),
    changes("create_template", Admin, Reach::Whole, Noun::Template),
    changes("change_template", Admin, Reach::Template, Noun::Template),
    changes("delete_template", Admin, Reach::Template, Noun::Template),
    reads("list_services", Viewer, Reach::Named),
    reads("get_service", Viewer, Reach::Task),
    reads("get_result", Viewer, Reach::Task),
    reads("list_lines", Viewer, Reach::Task),
    reads("follow_service", Viewer, Reach::Task),
    changes("create_services", Operator, Reach::Named, Noun::Service),
    changes("create_service", Operator, Reach::Named, Noun::Service),
    changes("cancel_service", Operator, Reach::Task, Noun::Service),
    changes("pause_service", Operator, Reach::Task, Noun::Service),
    changes("resume_service", Operator, Reach::Task, Noun::Service),
    changes("resolve_service", Operator, Reach::Task, Noun::Service),
    reads("list_api_tokens", Admin, Reach::Whole),
    reads("get_api_token", Admin, Reach::Whole),
    changes("create_api_token", Admin, Reach::Whole, Noun::ApiToken),
    changes("change_api_token", Admin, Reach::Whole, Noun::ApiToken),
    changes("delete_api_token", Admin, Reach::Whole, Noun::ApiToken),
    reads("list_audit", Admin, Reach::Whole),
    reads("export_audit", Admin, Reach::Whole),
];

/// The row of an operation.
#[must_use]
pub fn right(operation: &str) -> Option<&'static Right> {
    TABLE.iter().find(|right| right.operation == operation)
}

/// What a path names.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// The parameter `cluster_uuid`.
    pub cluster: Option<String>,
    /// The parameter `uuid`.
    pub uuid: Option<String>,
}

impl Named {
    fn uuid(&self) -> &str {
        self.uuid.as_deref().unwrap_or_default()
    }

    /// The cluster of a path that names one, alone or with a task.
    fn cluster(&self) -> &str {
        self.cluster.as_deref().unwrap_or_else(|| self.uuid())
    }
}

impl App {
    /// Lets a caller pass, or says why not: 403 where the role or the scope is too small for the operation, 404 where what
    /// the path names is out of the caller's scope.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NotFound`], [`Error::Unavailable`].
    pub async fn let_pass(&self, caller: &Caller, right: &Right, named: &Named) -> Result<(), Error> {
        if let Who::People(role) = right.who
            && caller.role < role
        {
            return Err(Error::Refused(format!(
                "`{}` needs the role `{}`; {} has the role `{}`",
                right.operation,
                role.word(),
                caller.name,
                caller.role.word()
            )));
        }
        let scope = &caller.scope;
        if scope.is_whole() {
            return Ok(());
        }
        let beyond = |of: &str| {
            Err(Error::Refused(format!(
                "`{}` concerns more than {of}, at which the scope of {} ends; ask somebody without a scope",
                right.operation, caller.name
            )))
        };
        match right.reach {
            Reach::Named => Ok(()),
            Reach::Whole => beyond("single clusters and templates"),
            // What is changed of a cluster concerns all templates on it, and the other way round; and so do the secrets of its
            // agents.
            Reach::Cluster if right.changes.is_some() && scope.templates.is_some() => beyond("the templates"),
            Reach::OfClusters | Reach::ClusterToken | Reach::Session if scope.templates.is_some() => {
                beyond("the templates")
            }
            Reach::OfClusters => Ok(()),
            Reach::Template if right.changes.is_some() && scope.clusters.is_some() => beyond("the clusters"),
            Reach::Cluster if scope.has_cluster(named.cluster()) => Ok(()),
            Reach::Cluster => Err(no_cluster(named.cluster())),
            Reach::Template if scope.has_template(named.uuid()) => Ok(()),
            Reach::Template => Err(Error::NotFound(format!(
                "there is no template `{}`; GET /api/v1/template lists those that are stored",
                named.uuid()
            ))),
            Reach::Task => self.admit_to_task(scope, named).await,
            Reach::ClusterToken => {
                let missing = || Error::NotFound(format!("there is no cluster token `{}`", named.uuid()));
                let row = self.store.token(&lookup(named.uuid())).await?.ok_or_else(missing)?;
                if scope.has_cluster(&row.cluster_uuid) { Ok(()) } else { Err(missing()) }
            }
            Reach::Session => {
                let missing = || Error::NotFound(format!("there is no session `{}`", named.uuid()));
                let row = self.store.session(&lookup(named.uuid())).await?.ok_or_else(missing)?;
                if scope.has_cluster(&row.cluster_uuid) { Ok(()) } else { Err(missing()) }
            }
        }
    }

    async fn admit_to_task(&self, scope: &Scope, named: &Named) -> Result<(), Error> {
        let (cluster, uuid) = (named.cluster(), named.uuid());
        let missing = || Error::NotFound(format!("there is no task `{uuid}` on cluster `{cluster}`"));
        if !scope.has_cluster(cluster) {
            return Err(missing());
        }
        if scope.templates.is_some() && !scope.has_template(&self.task(cluster, uuid).await?.snapshot.template_uuid) {
            return Err(missing());
        }
        Ok(())
    }
}

/// Refuses what a caller may not name in a body: a cluster or a template out of its scope.
///
/// # Errors
/// [`Error::Refused`].
pub(super) fn within<'a>(
    caller: &Caller,
    mut clusters: impl Iterator<Item = &'a str>,
    template: Option<&str>,
) -> Result<(), Error> {
    let outside = |noun: &str, uuid: &str| {
        let uuid: String = uuid.chars().take(64).collect();
        Err(Error::Refused(format!("{noun} `{uuid}` is out of the scope of {}", caller.name)))
    };
    if let Some(cluster) = clusters.find(|uuid| !caller.scope.has_cluster(uuid)) {
        return outside("cluster", cluster);
    }
    match template {
        Some(template) if !caller.scope.has_template(template) => outside("template", template),
        _ => Ok(()),
    }
}

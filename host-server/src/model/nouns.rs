//! Rows of the resources that people declare.

/// A cluster.
#[derive(Clone, Debug, sqlx::FromRow)]
#[allow(missing_docs, reason = "columns")]
pub struct Cluster {
    pub id: i64,
    pub uuid: String,
    pub name: String,
    pub summary: Option<String>,
    pub labels: Option<String>,
    pub paused: bool,
    pub concurrency: Option<i32>,
    pub created: i64,
    pub updated: i64,
    pub deleted: Option<i64>,
}

/// What an operator says about a cluster's tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterRules {
    /// Nothing is offered.
    pub paused: bool,
    /// Tasks at once; none is no limit.
    pub concurrency: Option<u32>,
}

/// A cluster's secret for its agents.
#[derive(Clone, sqlx::FromRow)]
#[allow(missing_docs, reason = "columns")]
pub struct Token {
    pub id: i64,
    pub uuid: String,
    pub name: String,
    pub summary: Option<String>,
    pub cluster_uuid: String,
    pub token: String,
    pub issued_at: i64,
    pub expires_at: i64,
    pub created: i64,
    pub updated: i64,
}

/// One authenticated agent connection.
#[derive(Clone, Debug, sqlx::FromRow)]
#[allow(missing_docs, reason = "columns")]
pub struct Session {
    pub id: i64,
    pub uuid: String,
    pub cluster_uuid: String,
    pub token_uuid: String,
    pub agent_version: String,
    pub issued_at: i64,
    pub expires_at: i64,
    pub created: i64,
    pub updated: i64,
    pub deleted: Option<i64>,
}

/// A template, as people fill it by SQL too.
#[derive(Clone, Debug, sqlx::FromRow)]
#[allow(missing_docs, reason = "columns")]
pub struct Template {
    pub uuid: String,
    pub name: String,
    pub summary: Option<String>,
    pub flow: String,
    pub inputs: Option<String>,
    pub origin: String,
    /// None where what was typed is no time.
    pub created: Option<chrono::NaiveDateTime>,
    pub updated: Option<chrono::NaiveDateTime>,
    pub options: Option<String>,
}

/// A global variable; its value may be a secret.
#[derive(Clone, sqlx::FromRow)]
#[allow(missing_docs, reason = "columns")]
pub struct Variable {
    pub id: i64,
    pub uuid: String,
    pub name: String,
    pub summary: Option<String>,
    pub value: String,
    pub created: i64,
    pub updated: i64,
}

//! What a query may name: the columns of each resource, with their types.

use crate::model::{
    ids::{lookup, stored},
    people::Scope,
};

use super::{Filter, hint, quoted};

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Resource {
    Cluster,
    ClusterToken,
    Session,
    Service,
    Webhook,
    GlobalVariables,
    Template,
}

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Number,
    /// Microseconds since 1970.
    Time,
    /// Text, compared without case.
    Text,
    /// Text in which a list cannot be ordered: it may be very long.
    Long,
    /// Hyphens do not count.
    Uuid,
    /// A template's uuid, whose hyphens count.
    Name,
    /// Compared for equality alone, with case: anything else would tell it piece by piece.
    Secret,
}

/// A column of a resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// Whose.
    pub resource: Resource,
    /// As the first version's tables had it.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
}

macro_rules! columns {
    ($resource:ident: $($kind:ident $($name:ident)*;)*) => {
        &[$($(Column { resource: Resource::$resource, name: stringify!($name), kind: Kind::$kind },)*)*]
    };
}

const CLUSTER: &[Column] =
    columns!(Cluster: Number id; Uuid uuid; Text name summary; Long labels; Time created updated;);
const CLUSTER_TOKEN: &[Column] = columns!(ClusterToken: Number id; Uuid uuid; Text name summary; Uuid cluster_uuid; Secret token;
    Time issued_at_time expiration_time created updated;);
const SESSION: &[Column] = columns!(Session: Number id; Uuid uuid cluster_client_token_uuid cluster_uuid; Secret token;
    Time issued_at_time expiration_time created updated;);
const SERVICE: &[Column] = columns!(Service: Time pdate; Uuid cluster_uuid uuid; Text name summary; Name template_uuid; Long flow inputs;
    Number step_max; Uuid subscribed_channel; Number priority; Long labels; Text created_by; Time created;);
const WEBHOOK: &[Column] = columns!(Webhook: Number id; Uuid uuid; Text name summary; Long url; Text method; Long headers; Text timeout
    condition_validator; Long condition_filter; Time created updated;);
const GLOBAL_VARIABLES: &[Column] =
    columns!(GlobalVariables: Number id; Uuid uuid; Text name summary value; Time created updated;);
const TEMPLATE: &[Column] =
    columns!(Template: Name uuid; Text name summary; Long flow inputs; Text origin; Time created updated;);

impl Resource {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Cluster,
        Self::ClusterToken,
        Self::Session,
        Self::Service,
        Self::Webhook,
        Self::GlobalVariables,
        Self::Template,
    ];

    /// As in the resource's path.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::ClusterToken => "cluster_token",
            Self::Session => "session",
            Self::Service => "service",
            Self::Webhook => "webhook",
            Self::GlobalVariables => "global_variables",
            Self::Template => "template",
        }
    }

    /// What a query may name.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Cluster => CLUSTER,
            Self::ClusterToken => CLUSTER_TOKEN,
            Self::Session => SESSION,
            Self::Service => SERVICE,
            Self::Webhook => WEBHOOK,
            Self::GlobalVariables => GLOBAL_VARIABLES,
            Self::Template => TEMPLATE,
        }
    }

    /// The column of a name, whatever its case.
    #[must_use]
    pub fn column(self, name: &str) -> Option<&'static Column> {
        self.columns().iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The same, or what would be right.
    pub(super) fn known(self, name: &str) -> Result<&'static Column, String> {
        self.column(name).ok_or_else(|| {
            let names: Vec<&str> = self.columns().iter().map(|column| column.name).collect();
            let (hint, word, names) = (hint(name, names.iter().copied()), quoted(name), names.join(", "));
            format!("{} has no column {word}{hint} (columns: {names})", self.word())
        })
    }

    /// The rows that a scope covers. What belongs to no cluster and is no template is covered by every scope.
    #[must_use]
    pub fn within(self, scope: &Scope) -> Filter {
        let (cluster, template) = match self {
            Self::Cluster => (self.column("uuid"), None),
            Self::ClusterToken | Self::Session => (self.column("cluster_uuid"), None),
            Self::Service => (self.column("cluster_uuid"), self.column("template_uuid")),
            Self::Template => (None, self.column("uuid")),
            Self::Webhook | Self::GlobalVariables => (None, None),
        };
        let ends = [(cluster, &scope.clusters), (template, &scope.templates)].into_iter();
        let ends = ends.filter_map(|(column, uuids)| Some(Filter::one_of(column?, uuids.clone()?)));
        Filter::All(ends.collect())
    }
}

impl Column {
    /// A text as it is looked up in this column.
    #[must_use]
    pub fn normal(&self, text: String) -> String {
        match self.kind {
            // No uuid ends in a space, which some comparisons would not see.
            Kind::Uuid => lookup(&text).trim_end().to_owned(),
            Kind::Name => stored(&text).trim_end().to_owned(),
            _ => text,
        }
    }

    /// Whether a list can be ordered by it.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        !matches!(self.kind, Kind::Long | Kind::Secret)
    }
}

//! Everything that is sealed, by table, and what its values are bound to.

/// A part of a table's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Blob(&'static str),
    Number(&'static str),
    Text(&'static str),
    /// A number that no value is bound to.
    Loose(&'static str),
}

impl Part {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Blob(name) | Self::Number(name) | Self::Text(name) | Self::Loose(name) => name,
        }
    }
}

/// One value of such a part.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Blob(Vec<u8>),
    Number(i64),
    Text(String),
}

/// A column of the database, as it is, and the names under which its values are bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) bound_as: &'static str,
    /// Where what the value is found by stands.
    pub(super) mac: Option<&'static str>,
}

/// A table with such columns.
#[derive(Debug)]
pub struct Table {
    pub(super) name: &'static str,
    pub(super) bound_as: &'static str,
    pub(super) key: &'static [Part],
    /// Which rows.
    pub(super) only: &'static str,
    pub(super) columns: &'static [Column],
}

const fn column(name: &'static str, bound_as: &'static str) -> Column {
    Column { name, bound_as, mac: None }
}

/// Everything that is sealed. A task's row goes from `task` to `history`, so `task` comes first.
pub(super) static TABLES: [Table; 8] = [
    Table {
        name: "cluster_token",
        bound_as: "cluster_token",
        key: &[Part::Text("uuid")],
        only: "",
        columns: &[Column { name: "token", bound_as: "token", mac: Some("token_mac") }],
    },
    Table {
        name: "global_variable",
        bound_as: "global_variable",
        key: &[Part::Text("name")],
        only: " AND name = 'ClientSession/SignatureSecret'",
        columns: &[column("value", "value")],
    },
    Table {
        name: "webhook",
        bound_as: "webhook",
        key: &[Part::Text("uuid")],
        only: "",
        columns: &[column("headers", "headers"), column("secrets", "secrets")],
    },
    Table {
        name: "webhook_delivery",
        bound_as: "webhook_delivery",
        key: &[Part::Blob("task"), Part::Number("cluster"), Part::Number("seq")],
        only: "",
        columns: &[column("body", "body")],
    },
    Table {
        name: "task",
        bound_as: "task",
        key: &[Part::Blob("id"), Part::Number("cluster")],
        only: "",
        columns: &[column("inputs", "inputs"), column("reason", "error")],
    },
    Table {
        name: "step",
        bound_as: "step",
        key: &[Part::Blob("task"), Part::Number("cluster"), Part::Text("path"), Part::Number("try")],
        only: "",
        columns: &[column("output", "output")],
    },
    Table {
        name: "history",
        bound_as: "task",
        key: &[Part::Blob("id"), Part::Number("cluster"), Part::Loose("ended")],
        only: "",
        columns: &[
            column("inputs", "inputs"),
            column("result", "result"),
            column("error", "error"),
            column("timeline", "timeline"),
        ],
    },
    Table {
        name: "log",
        bound_as: "log",
        key: &[Part::Blob("task"), Part::Number("cluster"), Part::Number("seq")],
        only: "",
        columns: &[column("message", "message"), column("fields", "fields")],
    },
];

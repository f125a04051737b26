//! One call into the host.

use std::time::Duration;

use claiflow_sdk::{
    Error,
    kubernetes::{Api, ExecOptions, LogQuery, Patch, Query, RemoveOptions, Resource, WriteOptions},
    task,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{Http, abandon};

/// How many names of a list are answered.
const NAMES_MAX: usize = 20;

/// What to call.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Act {
    /// What is granted: counted by plural.
    Granted {},
    Get {
        at: At,
        name: String,
        #[serde(default)]
        query: Asked,
    },
    /// How many there are, and the first names.
    List {
        at: At,
        #[serde(default)]
        query: Asked,
    },
    /// Until so many changes came, or so long nothing did.
    Watch {
        at: At,
        #[serde(default)]
        query: Asked,
        events: usize,
        patience_ms: u64,
    },
    Create {
        at: At,
        body: Value,
        #[serde(default)]
        options: Options,
    },
    Apply {
        at: At,
        name: String,
        body: Value,
        #[serde(default)]
        options: Options,
    },
    Replace {
        at: At,
        name: String,
        body: Value,
        #[serde(default)]
        options: Options,
    },
    Patch {
        at: At,
        name: String,
        kind: PatchKind,
        body: Value,
        #[serde(default)]
        options: Options,
    },
    Remove {
        at: At,
        name: String,
        #[serde(default)]
        options: Removal,
    },
    Log {
        at: At,
        pod: String,
        #[serde(default)]
        follow: bool,
        #[serde(default)]
        until: String,
        #[serde(default)]
        patience_ms: u64,
    },
    Exec {
        at: At,
        pod: String,
        #[serde(default)]
        container: String,
        command: Vec<String>,
        stdin: Option<String>,
    },
    /// A request, and all of its answer.
    Http(Http),
    /// So many requests that nobody awaits.
    Abandon {
        url: String,
        times: usize,
    },
    /// A sign for whoever keeps notes, who may change something meanwhile.
    Note {
        text: String,
    },
    Trap {},
    /// The same again and again.
    Times {
        times: usize,
        act: Box<Act>,
    },
}

/// Which resource, where.
#[derive(Clone, Deserialize)]
pub(crate) struct At {
    #[serde(default)]
    version: String,
    resource: String,
    /// Absent: a cluster-scoped kind; `*`: whatever is granted.
    namespace: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    fields: Vec<String>,
    field_selector: Option<String>,
    labels: std::collections::BTreeMap<String, String>,
    limit: Option<u32>,
    metadata_only: bool,
    since: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Options {
    dry_run: bool,
    force: bool,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Removal {
    uid: Option<String>,
    propagation: Option<String>,
    grace_seconds: Option<u32>,
    dry_run: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
}

impl Act {
    #[allow(clippy::panic, reason = "it traps as asked")]
    pub(crate) fn make(self) -> Result<Value, Error> {
        match self {
            Self::Granted {} => {
                let granted = claiflow_sdk::kubernetes::granted()?;
                let one = |kind: claiflow_sdk::kubernetes::Granted| {
                    json!([kind.group, kind.version, kind.plural, kind.kind, kind.verbs, kind.namespaces, kind.names])
                };
                Ok(granted.into_iter().map(one).collect())
            }
            Self::Get { at, name, query } => at.api().get_with(&name, &query.query()),
            Self::List { at, query } => {
                let (mut count, mut names) = (0, Vec::new());
                for object in at.api().list(&query.query())? {
                    let object: Value = object?;
                    if names.len() < NAMES_MAX {
                        names.push(object.pointer("/metadata/name").cloned().unwrap_or_default());
                    }
                    count += 1;
                }
                Ok(json!({"count": count, "names": names}))
            }
            Self::Watch { at, query, events, patience_ms } => {
                let mut watch = at.api().watch(&query.query())?;
                let mut seen = Vec::new();
                while seen.len() < events {
                    let came = watch.next(Duration::from_millis(patience_ms))?;
                    if came.is_empty() {
                        break;
                    }
                    seen.extend(came.into_iter().map(|event| {
                        json!([event.what, event.object.pointer("/metadata/name").cloned().unwrap_or_default()])
                    }));
                }
                Ok(seen.into())
            }
            Self::Create { at, body, options } => at.api().create(&body, &options.options()),
            Self::Apply { at, name, body, options } => at.api().apply(&name, &body, &options.options()),
            Self::Replace { at, name, body, options } => at.api().replace(&name, &body, &options.options()),
            Self::Patch { at, name, kind, body, options } => {
                let patch = match kind {
                    PatchKind::Json => Patch::Json(body),
                    PatchKind::Merge => Patch::Merge(body),
                    PatchKind::Strategic => Patch::Strategic(body),
                };
                at.api().patch(&name, &patch, &options.options())
            }
            Self::Remove { at, name, options } => at.api().remove(&name, &options.options()),
            Self::Log { at, pod, follow, until, patience_ms } => {
                let mut log = at.api().log(&pod, &LogQuery { follow, ..LogQuery::default() })?;
                let mut text = String::new();
                while let Some(piece) = log.read(Duration::from_millis(patience_ms.max(1)))? {
                    text.push_str(&String::from_utf8_lossy(&piece));
                    if !until.is_empty() && text.contains(&until) {
                        break;
                    }
                }
                Ok(text.into())
            }
            Self::Exec { at, pod, container, command, stdin } => {
                exec(&at, &pod, &container, &command, stdin.as_deref())
            }
            Self::Http(request) => request.make(),
            Self::Abandon { url, times } => abandon(&url, times),
            Self::Note { text } => task::note(&text).map(|()| Value::Null),
            Self::Trap {} => panic!("as asked"),
            Self::Times { times, act } => {
                let Self::Get { at, name, query } = *act else { return Err(Error::invalid("only `get` is repeated")) };
                let api = at.api();
                for _ in 0..times {
                    api.get_with(&name, &query.query())?;
                }
                Ok(times.into())
            }
        }
    }
}

fn exec(at: &At, pod: &str, container: &str, command: &[String], stdin: Option<&str>) -> Result<Value, Error> {
    let options = ExecOptions { stdin: stdin.is_some(), tty: false };
    let execution = at.api().exec(pod, container, command, &options)?;
    if let Some(stdin) = stdin {
        execution.write(stdin.as_bytes())?;
        execution.close_input();
    }
    let mut said: Vec<(&str, String)> = Vec::new();
    while let Some(piece) = execution.read(Duration::from_secs(10))? {
        let (stream, text) = (if piece.is_error { "stderr" } else { "stdout" }, String::from_utf8_lossy(&piece.data));
        match said.last_mut() {
            Some((last, all)) if *last == stream => all.push_str(&text),
            _ => said.push((stream, text.into_owned())),
        }
    }
    said.retain(|(_, text)| !text.is_empty());
    Ok(json!({"said": said, "failure": execution.failure()?}))
}

impl At {
    fn api(&self) -> Api {
        let resource = Resource::of(&self.version, &self.resource);
        match self.namespace.as_deref() {
            None => Api::of_cluster(resource),
            Some("*") => Api::granted(resource),
            Some(namespace) => Api::in_namespace(resource, namespace),
        }
    }
}

impl Asked {
    fn query(&self) -> Query {
        let mut query = Query::new().fields(self.fields.iter().cloned());
        for (name, value) in &self.labels {
            query = query.label(name, value);
        }
        if let Some(selector) = &self.field_selector {
            query = query.field_selector(selector);
        }
        if let Some(limit) = self.limit {
            query = query.limit(limit);
        }
        if let Some(since) = &self.since {
            query = query.since(since);
        }
        if self.metadata_only { query.metadata_only() } else { query }
    }
}

impl Options {
    fn options(&self) -> WriteOptions {
        WriteOptions { dry_run: self.dry_run, force: self.force, ..WriteOptions::default() }
    }
}

impl Removal {
    fn options(self) -> RemoveOptions {
        RemoveOptions {
            uid: self.uid,
            propagation: self.propagation,
            grace_seconds: self.grace_seconds,
            dry_run: self.dry_run,
            ..RemoveOptions::default()
        }
    }
}

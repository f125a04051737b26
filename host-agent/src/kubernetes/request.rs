//! Requests as kube builds them, over parts that passed a shape check or came from discovery: kube pastes them into the URL
//! as they are.

use http::{
    HeaderValue,
    header::{ACCEPT, CONTENT_TYPE},
};
use kube::{
    api::{
        AttachParams, DeleteParams, GetParams, ListParams, LogParams, Patch as KubePatch, PatchParams, PostParams,
        Preconditions, PropagationPolicy, WatchParams,
    },
    core::Request as Builder,
};
use serde_json::Value;

use super::{ExecOptions, Failure};
use crate::grants::kubernetes::{Kind, Name, Namespace, Object, Patch};

/// The API server refuses a longer one.
const MANAGER_MAX_BYTES: usize = 128;

/// One request, ready to be sent by [`super::Cluster`].
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) http: http::Request<Vec<u8>>,
    /// Whether it leaves something behind: such a request is never repeated once it may have arrived.
    pub(super) writes: bool,
}

/// What all writes have in common.
#[derive(Clone, Debug)]
pub struct Writing {
    /// Who manages the fields that are set.
    pub manager: String,
    /// Checked and answered as if, and nothing is stored.
    pub dry_run: bool,
}

/// What becomes of the objects that belong to a deleted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay.
    Orphan,
    /// They go later.
    Background,
    /// They go first.
    Foreground,
}

/// How one object is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// Only the object with this uid.
    pub uid: Option<String>,
    /// Only the object in this version.
    pub resource_version: Option<String>,
    /// None: as the kind has it.
    pub propagation: Option<Propagation>,
    /// Seconds until it is ended by force; none: as the object says.
    pub grace_seconds: Option<u32>,
    /// See [`Writing::dry_run`].
    pub dry_run: bool,
}

/// What is read of a container's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// None: the pod's only one.
    pub container: Option<String>,
    /// Of the container before its last restart.
    pub previous: bool,
    /// Go on while it runs.
    pub follow: bool,
    /// So many lines from the end.
    pub tail_lines: Option<u32>,
    /// What is not older.
    pub since_seconds: Option<u32>,
    /// Each line begins with its time.
    pub timestamps: bool,
}

impl Request {
    /// One object, or a subresource of it.
    ///
    /// # Errors
    /// `invalid` where the object cannot be one of the kind.
    pub fn get(kind: &Kind, at: &Object) -> Result<Self, Failure> {
        let (builder, name) = named(kind, at)?;
        let http = match kind.subresource.as_str() {
            "" => builder.get(name, &GetParams::default()),
            subresource => builder.get_subresource(subresource, name),
        };
        Self::of(http, false)
    }

    /// A new object, or a subresource's act.
    ///
    /// # Errors
    /// As [`Request::get`].
    pub fn create(kind: &Kind, at: &Object, body: &Value, writing: &Writing) -> Result<Self, Failure> {
        let (params, text) = (post(writing), text(body)?);
        let http = if kind.subresource.is_empty() {
            builder(kind, at.namespace.as_ref())?.create(&params, text)
        } else {
            let (builder, name) = named(kind, at)?;
            builder.create_subresource(&kind.subresource, name, &params, text)
        };
        Self::of(http, !writing.dry_run)
    }

    /// Server-side apply.
    ///
    /// # Errors
    /// As [`Request::get`].
    pub fn apply(kind: &Kind, at: &Object, body: &Value, force: bool, writing: &Writing) -> Result<Self, Failure> {
        Self::patched(kind, at, &KubePatch::Apply(body), &PatchParams { force, ..patch(writing) }, writing)
    }

    /// An object's new content.
    ///
    /// # Errors
    /// As [`Request::get`].
    pub fn replace(kind: &Kind, at: &Object, body: &Value, writing: &Writing) -> Result<Self, Failure> {
        let (builder, name) = named(kind, at)?;
        let (params, text) = (post(writing), text(body)?);
        let http = match kind.subresource.as_str() {
            "" => builder.replace(name, &params, text),
            subresource => builder.replace_subresource(subresource, name, &params, text),
        };
        Self::of(http, !writing.dry_run)
    }

    /// A change of an object.
    ///
    /// # Errors
    /// As [`Request::get`].
    pub fn patch(kind: &Kind, at: &Object, change: &Patch, writing: &Writing) -> Result<Self, Failure> {
        let mut request = Self::patched(kind, at, &KubePatch::Merge(change.value()), &patch(writing), writing)?;
        request.http.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(change.content_type()));
        Ok(request)
    }

    /// One object, gone.
    ///
    /// # Errors
    /// As [`Request::get`].
    pub fn delete(kind: &Kind, at: &Object, deletion: &Deletion) -> Result<Self, Failure> {
        if !kind.subresource.is_empty() {
            return Err(Failure::new("invalid", format!("`{kind}` is a subresource, which is not deleted")));
        }
        let (builder, name) = named(kind, at)?;
        let preconditions =
            Preconditions { uid: deletion.uid.clone(), resource_version: deletion.resource_version.clone() };
        let params = DeleteParams {
            dry_run: deletion.dry_run,
            grace_period_seconds: deletion.grace_seconds,
            propagation_policy: deletion.propagation.map(|propagation| match propagation {
                Propagation::Orphan => PropagationPolicy::Orphan,
                Propagation::Background => PropagationPolicy::Background,
                Propagation::Foreground => PropagationPolicy::Foreground,
            }),
            preconditions: (deletion.uid.is_some() || deletion.resource_version.is_some()).then_some(preconditions),
        };
        Self::of(builder.delete(name, &params), !deletion.dry_run)
    }

    pub(super) fn list(
        kind: &Kind,
        namespace: Option<&Namespace>,
        params: &ListParams,
        metadata_only: bool,
    ) -> Result<Self, Failure> {
        let builder = several(kind, namespace)?;
        Self::of(if metadata_only { builder.list_metadata(params) } else { builder.list(params) }, false)
    }

    pub(super) fn watch(
        kind: &Kind,
        namespace: Option<&Namespace>,
        params: &WatchParams,
        from: &str,
        metadata_only: bool,
    ) -> Result<Self, Failure> {
        let builder = several(kind, namespace)?;
        let http = if metadata_only { builder.watch_metadata(params, from) } else { builder.watch(params, from) };
        Self::of(http, false)
    }

    pub(super) fn log(kind: &Kind, at: &Object, options: &LogOptions) -> Result<Self, Failure> {
        let (builder, name) = named(kind, at)?;
        let params = LogParams {
            container: options.container.clone(),
            follow: options.follow,
            previous: options.previous,
            since_seconds: options.since_seconds.map(i64::from),
            tail_lines: options.tail_lines.map(i64::from),
            timestamps: options.timestamps,
            ..LogParams::default()
        };
        Self::of(builder.logs(name, &params), false)
    }

    pub(super) fn exec(
        kind: &Kind,
        at: &Object,
        container: Option<&str>,
        command: &[String],
        options: &ExecOptions,
    ) -> Result<Self, Failure> {
        let (builder, name) = named(kind, at)?;
        let params = AttachParams {
            container: container.map(ToOwned::to_owned),
            stdin: options.stdin,
            tty: options.tty,
            // A terminal has one stream.
            stderr: !options.tty,
            ..AttachParams::default()
        };
        Self::of(builder.exec(name, command, &params), true)
    }

    /// A document of the API server itself, such as `/apis`.
    pub(super) fn document(path: &'static str, accept: &'static str) -> Result<Self, Failure> {
        let mut request = Self::of(
            http::Request::get(path).body(Vec::new()).map_err(kube::core::request::Error::BuildRequest),
            false,
        )?;
        request.http.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        Ok(request)
    }

    fn patched(
        kind: &Kind,
        at: &Object,
        change: &KubePatch<&Value>,
        params: &PatchParams,
        writing: &Writing,
    ) -> Result<Self, Failure> {
        let (builder, name) = named(kind, at)?;
        let http = match kind.subresource.as_str() {
            "" => builder.patch(name, params, change),
            subresource => builder.patch_subresource(subresource, name, params, change),
        };
        Self::of(http, !writing.dry_run)
    }

    fn of(http: Result<http::Request<Vec<u8>>, kube::core::request::Error>, writes: bool) -> Result<Self, Failure> {
        let mut http =
            http.map_err(|error| Failure::new("invalid", format!("no request can be made of it: {error}")))?;
        http.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        Ok(Self { http, writes })
    }
}

fn named<'a>(kind: &Kind, at: &'a Object) -> Result<(Builder, &'a str), Failure> {
    let name = at.name.as_ref().map(Name::as_str);
    let name = name.ok_or_else(|| Failure::new("invalid", "name: it is empty; one object is named"))?;
    Ok((builder(kind, at.namespace.as_ref())?, name))
}

/// The kind's own word on namespaces is final: an absent one would widen a request, a needless one would be ignored.
fn builder(kind: &Kind, namespace: Option<&Namespace>) -> Result<Builder, Failure> {
    match (kind.namespaced, namespace) {
        (true, None) => Err(Failure::new("invalid", format!("namespace: `{kind}` lives in namespaces; name one"))),
        (false, Some(_)) => {
            Err(Failure::new("invalid", format!("namespace: `{kind}` is cluster-scoped and has none; leave it out")))
        }
        _ => Ok(collection(kind, namespace)),
    }
}

/// A subresource is one object's; the collection in its place would be another kind than the one that was asked for.
fn several(kind: &Kind, namespace: Option<&Namespace>) -> Result<Builder, Failure> {
    if !kind.subresource.is_empty() {
        return Err(Failure::new(
            "invalid",
            format!("`{kind}` belongs to one object; it is neither listed nor watched"),
        ));
    }
    if !kind.namespaced && namespace.is_some() {
        return builder(kind, namespace);
    }
    Ok(collection(kind, namespace))
}

fn collection(kind: &Kind, namespace: Option<&Namespace>) -> Builder {
    let Kind { group, version, plural, .. } = kind;
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    Builder::new(match namespace {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
        None => format!("{root}/{plural}"),
    })
}

fn text(body: &Value) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|error| Failure::new("invalid", format!("body: it cannot be sent: {error}")))
}

fn post(writing: &Writing) -> PostParams {
    PostParams { dry_run: writing.dry_run, field_manager: Some(manager(writing)) }
}

fn patch(writing: &Writing) -> PatchParams {
    PatchParams { dry_run: writing.dry_run, field_manager: Some(manager(writing)), ..PatchParams::default() }
}

fn manager(writing: &Writing) -> String {
    let mut end = writing.manager.len().min(MANAGER_MAX_BYTES);
    while !writing.manager.is_char_boundary(end) {
        end -= 1;
    }
    writing.manager.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Deletion, Propagation, Request, Writing};
    use crate::grants::kubernetes::{Kind, Name, Namespace, Object};

    fn kind(group: &str, plural: &str, subresource: &str, namespaced: bool) -> Kind {
        Kind {
            group: group.into(),
            version: "v1".into(),
            plural: plural.into(),
            subresource: subresource.into(),
            kind: "Kind".into(),
            api_version: "v1".into(),
            namespaced,
        }
    }

    fn at(namespace: Option<&str>, name: &str) -> Object {
        Object {
            namespace: namespace.map(|namespace| Namespace::new(namespace).unwrap()),
            name: (!name.is_empty()).then(|| Name::new(name).unwrap()),
        }
    }

    fn shown(request: &Request) -> String {
        format!("{} {}", request.http.method(), request.http.uri())
    }

    #[test]
    fn urls_are_those_of_the_api() {
        let writing = Writing { manager: "claiflow:tool".into(), dry_run: true };
        let body = json!({});
        let pod = at(Some("shop"), "web-1");
        for (request, url) in [
            (Request::get(&kind("", "pods", "", true), &pod), "GET /api/v1/namespaces/shop/pods/web-1"),
            (
                Request::get(&kind("apps", "deployments", "scale", true), &pod),
                "GET /apis/apps/v1/namespaces/shop/deployments/web-1/scale",
            ),
            (Request::get(&kind("", "nodes", "", false), &at(None, "n")), "GET /api/v1/nodes/n"),
            (
                Request::create(&kind("", "pods", "", true), &at(Some("shop"), ""), &body, &writing),
                "POST /api/v1/namespaces/shop/pods?&dryRun=All&fieldManager=claiflow%3Atool",
            ),
            (
                Request::create(&kind("", "pods", "eviction", true), &pod, &body, &writing),
                "POST /api/v1/namespaces/shop/pods/web-1/eviction?&dryRun=All&fieldManager=claiflow%3Atool",
            ),
            (
                Request::apply(&kind("", "pods", "", true), &pod, &body, true, &writing),
                "PATCH /api/v1/namespaces/shop/pods/web-1?&dryRun=All&force=true&fieldManager=claiflow%3Atool",
            ),
            (
                Request::delete(&kind("", "pods", "", true), &pod, &Deletion::default()),
                "DELETE /api/v1/namespaces/shop/pods/web-1?",
            ),
        ] {
            assert_eq!(shown(&request.unwrap()), url);
        }
    }

    #[test]
    fn a_deletion_carries_its_conditions() {
        let deletion = Deletion {
            uid: Some("u".into()),
            propagation: Some(Propagation::Foreground),
            grace_seconds: Some(0),
            ..Deletion::default()
        };
        let request = Request::delete(&kind("", "pods", "", true), &at(Some("a"), "b"), &deletion).unwrap();
        let body: serde_json::Value = serde_json::from_slice(request.http.body()).unwrap();
        assert_eq!(
            body,
            json!({"gracePeriodSeconds": 0, "propagationPolicy": "Foreground", "preconditions": {"uid": "u"}})
        );
        assert!(request.writes);
    }

    #[test]
    fn a_namespace_stands_where_it_belongs_and_nowhere_else() {
        let absent = Request::get(&kind("", "pods", "", true), &at(None, "a")).unwrap_err();
        assert!(absent.message.contains("lives in namespaces"), "{absent}");
        let needless = Request::get(&kind("", "nodes", "", false), &at(Some("a"), "a")).unwrap_err();
        assert!(needless.message.contains("cluster-scoped"), "{needless}");
        let nameless = Request::get(&kind("", "pods", "", true), &at(Some("a"), "")).unwrap_err();
        assert!(nameless.message.contains("name"), "{nameless}");
    }
}

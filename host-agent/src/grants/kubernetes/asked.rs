//! A request held against its kind: what it is, or why no rule needs to be looked at.

use std::ops::ControlFlow;

use serde_json::Value;

use super::{
    Access, Denial, Invalid, Kind, Namespace, Object, Request, Scope, Verb,
    body::{self, Naming},
    patch::{Op, Parts},
    path::{self, Path, Step},
    touch::{self, Judge, Mode},
};

/// A request that makes sense for its kind.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) kind: &'a Kind,
    pub(super) request: &'a Request<'a>,
    pub(super) verb: Verb,
    pub(super) place: Place<'a>,
}

/// What it is about.
#[derive(Debug)]
pub(super) enum Place<'a> {
    One { namespace: Option<&'a str>, naming: Naming<'a> },
    Many(&'a Scope),
}

impl<'a> Asked<'a> {
    /// # Errors
    /// `invalid` for what contradicts the kind or itself, `denied` for what no rule can allow.
    pub(super) fn of(access: &'a Access<'a>) -> Result<Self, Denial> {
        let Access { kind, request } = access;
        let place = match request {
            Request::List { scope, .. } | Request::Watch { scope, .. } => {
                check_scope(kind, scope)?;
                Place::Many(scope)
            }
            Request::Create { at, body } => {
                check_namespace(kind, at)?;
                body::check(kind, at, body)?;
                let naming = body::naming(at, body)?;
                if at.name.is_none() && !kind.subresource.is_empty() {
                    return Err(Invalid::new("name", "a subresource belongs to one object: name it").into());
                }
                Place::One { namespace: namespace(at), naming }
            }
            Request::Get { at, .. }
            | Request::ReadStream { at }
            | Request::Connect { at }
            | Request::Apply { at, .. }
            | Request::Replace { at, .. }
            | Request::Patch { at, .. }
            | Request::Delete { at } => {
                check_namespace(kind, at)?;
                let name = at.name.as_ref().ok_or_else(|| Invalid::new("name", "it is empty; one object is named"))?;
                Place::One { namespace: namespace(at), naming: Naming::Name(name.as_str()) }
            }
        };
        check_way(kind, request)?;
        check_content(kind, request)?;
        let asked = Self { kind, request, verb: request.verb(), place };
        asked.check_never()?;
        Ok(asked)
    }

    /// Every field that the request sets or removes; none for a replacement, whose fields are known only over the object.
    pub(super) fn touches<B>(&self, judge: Judge<'_, B>) -> ControlFlow<B> {
        match self.request {
            Request::Create { body, .. } => touch::of_body(body, Mode::Create, judge),
            Request::Apply { body, .. } => touch::of_body(body, Mode::Merge, judge),
            Request::Patch { patch, .. } => touch::of_patch(patch, judge),
            _ => ControlFlow::Continue(()),
        }
    }

    /// Every field of which the request tells something, whatever the answer shows.
    pub(super) fn looks<B>(&self, look: &mut dyn FnMut(&Path<'_>) -> ControlFlow<B>) -> ControlFlow<B> {
        match self.request {
            Request::List { selectors, .. } | Request::Watch { selectors, .. } => {
                selectors.paths().try_for_each(|path| look(&path))
            }
            Request::Patch { patch, .. } => touch::looks_of(patch, look),
            _ => ControlFlow::Continue(()),
        }
    }

    /// What no rule allows. A replacement is judged by what it changes.
    fn check_never(&self) -> Result<(), Denial> {
        let never = |path: &Path<'_>, act: &str, whole: bool| {
            if !(whole || path::is_hidden(path)) {
                return ControlFlow::Continue(());
            }
            let field =
                if path.is_empty() { "the whole object".to_owned() } else { format!("`{}`", path::shown(path)) };
            let below = if path::is_hidden(path) { "" } else { "; name the fields below it" };
            ControlFlow::Break(Denial::denied(format!("{field} is never {act} by a plugin{below}"), None))
        };
        let written =
            self.touches(&mut |touch| never(touch.path, "written", matches!(touch.path, [] | [Step::Key("metadata")])));
        let read = self.looks(&mut |path| never(path, "read", path::holds_metadata(path)));
        [written, read].into_iter().find_map(ControlFlow::break_value).map_or(Ok(()), Err)
    }
}

fn namespace(at: &Object) -> Option<&str> {
    at.namespace.as_ref().map(Namespace::as_str)
}

fn check_namespace(kind: &Kind, at: &Object) -> Result<(), Invalid> {
    match (kind.namespaced, &at.namespace) {
        (true, None) => Err(Invalid::new("namespace", format!("`{kind}` live in namespaces; name one"))),
        (false, Some(_)) => Err(Invalid::new("namespace", format!("`{kind}` is cluster-scoped: leave it out"))),
        _ => Ok(()),
    }
}

fn check_scope(kind: &Kind, scope: &Scope) -> Result<(), Invalid> {
    match (kind.namespaced, scope) {
        (true, Scope::Namespace(_) | Scope::Granted) | (false, Scope::Cluster) => Ok(()),
        (true, Scope::Cluster) => Err(Invalid::new(
            "scope",
            format!(
                "`{kind}` live in namespaces; `cluster` does not stand for all of them: name one, or say `granted`"
            ),
        )),
        (false, _) => Err(Invalid::new("scope", format!("`{kind}` is cluster-scoped; the scope is `cluster`"))),
    }
}

/// Bytes and objects are asked for in different ways, and a GET on `pods/exec` would be an exec.
fn check_way(kind: &Kind, request: &Request<'_>) -> Result<(), Invalid> {
    let right = match request {
        Request::ReadStream { .. } => kind.is("", "pods/log"),
        Request::Connect { .. } => kind.is("", "pods/exec"),
        Request::List { .. } | Request::Watch { .. } | Request::Delete { .. } => kind.subresource.is_empty(),
        _ => !kind.streams(),
    };
    if right {
        return Ok(());
    }
    Err(Invalid::new("subresource", format!("`{kind}` cannot be asked for in this way")))
}

fn check_content(kind: &Kind, request: &Request<'_>) -> Result<(), Invalid> {
    match request {
        Request::Apply { at, body, .. } => body::check(kind, at, body),
        Request::Replace { at, body } => {
            body::check(kind, at, body)?;
            match body.get("metadata").and_then(|metadata| metadata.get("resourceVersion")) {
                Some(Value::String(_)) => Ok(()),
                _ => Err(Invalid::new("body.metadata.resourceVersion", "it is missing; say which version is replaced")),
            }
        }
        Request::Patch { at, patch } => match patch.parts() {
            Parts::Merge => body::check(kind, at, patch.value()),
            Parts::Strategic => {
                touch::check_directives(patch.value())?;
                body::check(kind, at, patch.value())
            }
            Parts::Operations(operations) => {
                let renames = |path: &[String]| body::is_identity(&touch::steps(path));
                for (index, operation) in operations.iter().enumerate() {
                    let from = operation.from.as_deref().filter(|_| operation.op == Op::Move);
                    let precondition = touch::precondition(&touch::steps(&operation.path), patch.operand(index));
                    let writes = operation.op != Op::Test && renames(&operation.path) && !precondition;
                    if writes || operation.op == Op::Remove && renames(&operation.path) || from.is_some_and(renames) {
                        return Err(Invalid::new(
                            format!("patch[{index}].path"),
                            "what an object is called is not patched",
                        ));
                    }
                }
                Ok(())
            }
        },
        _ => Ok(()),
    }
}

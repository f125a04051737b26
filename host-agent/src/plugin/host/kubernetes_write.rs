//! `claiflow:plugin/kubernetes-write`: writes, one object each. From the moment one is sent until it is known that it did nothing, an
//! ending without result may have had its effect.

use serde_json::Value;

use crate::{
    grants::kubernetes::{Access, Kind, Mask, Object as At, Patch, Request as Asked, identify},
    kubernetes::{Cluster, Deletion, Effect, Failure, Propagation, Request, Unmanaged, Writing},
    plugin::{
        bindings::claiflow::plugin::{
            kubernetes_write::{Host, Object},
            types,
        },
        state::CallState,
    },
};

use super::kubernetes::{
    call::{Made, answer, denied, invalid, served, shown},
    options::{self, Apply, Remove, Write, body, fields, object, objects_only, options},
};

type Answer = wasmtime::Result<Result<String, types::Failure>>;

impl Host for CallState {
    async fn create(&mut self, target: Object, text: String, options: String) -> Answer {
        let mut made = self.making("create");
        let answer = Box::pin(self.create_one(&mut made, &target, &text, &options)).await;
        self.made(&made, answer)
    }

    async fn apply(&mut self, target: Object, text: String, options: String) -> Answer {
        let mut made = self.making("apply");
        let answer = Box::pin(self.apply_one(&mut made, &target, &text, &options)).await;
        self.made(&made, answer)
    }

    async fn replace(&mut self, target: Object, text: String, options: String) -> Answer {
        let mut made = self.making("replace");
        let answer = Box::pin(self.replace_one(&mut made, &target, &text, &options)).await;
        self.made(&made, answer)
    }

    async fn patch(&mut self, target: Object, patch_type: String, text: String, options: String) -> Answer {
        let mut made = self.making("patch");
        let answer = Box::pin(self.patch_one(&mut made, &target, &patch_type, &text, &options)).await;
        self.made(&made, answer)
    }

    async fn remove(&mut self, target: Object, options: String) -> Answer {
        let mut made = self.making("delete");
        let answer = Box::pin(self.remove_one(&mut made, &target, &options)).await;
        self.made(&made, answer)
    }
}

/// One write that is authorised.
struct Ready<'a> {
    access: Access<'a>,
    request: Request,
    fields: Option<Mask>,
    dry_run: bool,
}

impl CallState {
    async fn create_one(
        &mut self,
        made: &mut Made,
        target: &Object,
        text: &str,
        said: &str,
    ) -> Result<String, Failure> {
        let cluster = self.enter()?;
        let said: Write = options(said)?;
        self.may_write(said.dry_run)?;
        let (at, fields, mut body) = (object(target)?, fields(said.fields)?, body(text)?);
        let served = served(&cluster, made, &target.resource, self.deadline()).await?;
        let kind = &served.kind;
        objects_only(kind)?;
        identify(kind, &at, &mut body);
        let access = Access { kind, request: Asked::Create { at: &at, body: &body } };
        let request = Request::create(kind, &at, &body, &self.writing(said.dry_run))?;
        self.write(&cluster, Ready { access, request, fields, dry_run: said.dry_run }).await
    }

    async fn apply_one(&mut self, made: &mut Made, target: &Object, text: &str, said: &str) -> Result<String, Failure> {
        let cluster = self.enter()?;
        let said: Apply = options(said)?;
        self.may_write(said.dry_run)?;
        let (at, fields, mut body) = (object(target)?, fields(said.fields)?, body(text)?);
        let served = served(&cluster, made, &target.resource, self.deadline()).await?;
        let kind = &served.kind;
        objects_only(kind)?;
        identify(kind, &at, &mut body);
        let access = Access { kind, request: Asked::Apply { at: &at, body: &body, force: said.force } };
        let request = Request::apply(kind, &at, &body, said.force, &self.writing(said.dry_run))?;
        self.write(&cluster, Ready { access, request, fields, dry_run: said.dry_run }).await
    }

    async fn replace_one(
        &mut self,
        made: &mut Made,
        target: &Object,
        text: &str,
        said: &str,
    ) -> Result<String, Failure> {
        let cluster = self.enter()?;
        let said: Write = options(said)?;
        self.may_write(said.dry_run)?;
        let (at, fields, mut body) = (object(target)?, fields(said.fields)?, body(text)?);
        let served = served(&cluster, made, &target.resource, self.deadline()).await?;
        let kind = &served.kind;
        objects_only(kind)?;
        if body.pointer("/metadata/resourceVersion").and_then(Value::as_str).is_none_or(str::is_empty) {
            let message = "body.metadata.resourceVersion: it is missing; a replacement says which version it replaces";
            return Err(Failure::new("invalid", message));
        }
        identify(kind, &at, &mut body);
        let settled = self.settled(&cluster, kind, &at, &body).await?;
        let access = Access { kind, request: Asked::Replace { at: &at, body: &settled } };
        let request = Request::replace(kind, &at, &settled, &self.writing(said.dry_run))?;
        self.write(&cluster, Ready { access, request, fields, dry_run: said.dry_run }).await
    }

    /// The replacement as it may be sent: judged over the object as it is.
    async fn settled(&mut self, cluster: &Cluster, kind: &Kind, at: &At, body: &Value) -> Result<Value, Failure> {
        let (allowed, actor) = self.authorise(&Access { kind, request: Asked::Replace { at, body } })?;
        if !allowed.needs_current() {
            return Ok(body.clone());
        }
        let request = Request::get(kind, at)?;
        let current = cluster.ask(&actor, &request, self.room(), self.deadline()).await;
        let (current, bytes) = current.map_err(shown(&allowed))?;
        self.memory.pass(bytes);
        allowed.settle(&current, body).map_err(denied)
    }

    async fn patch_one(
        &mut self,
        made: &mut Made,
        target: &Object,
        patch_type: &str,
        text: &str,
        said: &str,
    ) -> Result<String, Failure> {
        let cluster = self.enter()?;
        let said: Write = options(said)?;
        self.may_write(said.dry_run)?;
        let (at, fields) = (object(target)?, fields(said.fields)?);
        let patch = Patch::parse(patch_type, body(text)?).map_err(invalid)?;
        let served = served(&cluster, made, &target.resource, self.deadline()).await?;
        let kind = &served.kind;
        objects_only(kind)?;
        let access = Access { kind, request: Asked::Patch { at: &at, patch: &patch } };
        let request = Request::patch(kind, &at, &patch, &self.writing(said.dry_run))?;
        self.write(&cluster, Ready { access, request, fields, dry_run: said.dry_run }).await
    }

    async fn remove_one(&mut self, made: &mut Made, target: &Object, said: &str) -> Result<String, Failure> {
        let cluster = self.enter()?;
        let said: Remove = options(said)?;
        self.may_write(said.dry_run)?;
        let (at, fields) = (object(target)?, fields(said.fields)?);
        let served = served(&cluster, made, &target.resource, self.deadline()).await?;
        let kind = &served.kind;
        let deletion = Deletion {
            uid: said.uid,
            resource_version: said.resource_version,
            propagation: said.propagation.map(|propagation| match propagation {
                options::Propagation::Orphan => Propagation::Orphan,
                options::Propagation::Background => Propagation::Background,
                options::Propagation::Foreground => Propagation::Foreground,
            }),
            grace_seconds: said.grace_seconds,
            dry_run: said.dry_run,
        };
        let access = Access { kind, request: Asked::Delete { at: &at } };
        let request = Request::delete(kind, &at, &deletion)?;
        self.write(&cluster, Ready { access, request, fields, dry_run: said.dry_run }).await
    }

    /// Sends it. Grants and the wish to stop are asked once more: discovery, or the object as it is, took its time.
    async fn write(&mut self, cluster: &Cluster, ready: Ready<'_>) -> Result<String, Failure> {
        let Ready { access, request, fields, dry_run } = ready;
        let (allowed, actor) = self.authorise(&access)?;
        self.may_write(dry_run)?;
        if !dry_run {
            self.standing.begin_effect()?;
        }
        let answered = cluster.ask(&actor, &request, self.room(), self.deadline()).await;
        if !dry_run && answered.as_ref().is_err_and(|error| error.effect() == Effect::None) {
            self.standing.undo_effect();
        }
        let (Unmanaged(value), bytes) = answered.map_err(shown(&allowed))?;
        self.memory.pass(bytes);
        answer(&allowed, value, fields.as_ref(), if dry_run { Effect::None } else { Effect::Done })
    }

    fn writing(&self, dry_run: bool) -> Writing {
        Writing { manager: format!("claiflow:{}", self.standing.caller.plugin), dry_run }
    }
}

//! `claiflow:plugin/credentials`, `credentials-reveal` and `credentials-admin`: the names that a plugin may use, the bytes that it
//! may see, and, of the system's own plugin, what the stores hold.

use serde::Deserialize;

use crate::{
    credentials::{Mode, Put, Storage},
    grants::{
        Grant, System,
        http::{knows, reveals},
    },
    kubernetes::{Effect, Failure},
    plugin::{
        bindings::claiflow::plugin::{
            credentials::Host, credentials_admin::Host as Admin, credentials_reveal::Host as Reveal, types,
        },
        state::CallState,
    },
};

use super::kubernetes::call::denied;

/// What these calls are counted as; keys are many.
const RESOURCE: &str = "credentials";

type Answer<T> = wasmtime::Result<Result<T, types::Failure>>;

impl Host for CallState {
    /// Who may make no host call knows no names.
    async fn names(&mut self) -> wasmtime::Result<Vec<String>> {
        if self.standing.count().is_err() {
            return Ok(Vec::new());
        }
        let stores = self.standing.caller.surroundings.credentials.clone();
        let mut names: Vec<_> = stores.keys(self.deadline()).await.into_iter().collect();
        names.retain(|name| self.granted(|grant| knows(grant, name)));
        self.memory.pass(names.iter().map(String::len).sum());
        Ok(names)
    }
}

impl Reveal for CallState {
    async fn reveal(&mut self, name: String) -> Answer<Vec<u8>> {
        let made = self.making("reveal").about(RESOURCE);
        let answer = self.revealed(&name).await;
        self.made(&made, answer)
    }
}

impl Admin for CallState {
    async fn entries(&mut self) -> Answer<String> {
        let made = self.making("list").about(RESOURCE);
        let answer = self.listed().await;
        self.made(&made, answer)
    }

    async fn put(&mut self, name: String, spec: String, data: Vec<u8>) -> Answer<()> {
        let made = self.making("put").about(RESOURCE);
        let answer = self.put_one(&name, &spec, &data).await;
        self.made(&made, answer)
    }

    async fn remove(&mut self, name: String, storage: String) -> Answer<()> {
        let made = self.making("remove").about(RESOURCE);
        let answer = self.take_one(&name, &storage).await;
        self.made(&made, answer)
    }
}

/// `spec` of `credentials-admin.put`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    storage: String,
    #[serde(rename = "type")]
    kind: String,
    mode: Mode,
    #[serde(default)]
    effect_key: String,
}

impl CallState {
    async fn revealed(&mut self, name: &str) -> Result<Vec<u8>, Failure> {
        self.standing.count()?;
        self.may_see(name)?;
        let stores = self.standing.caller.surroundings.credentials.clone();
        let credential = stores.find(name, self.deadline()).await?;
        // The stores took their time: what was withdrawn meanwhile is not shown.
        self.may_see(name)?;
        let bytes = credential.bytes();
        self.memory.pass(bytes.len());
        Ok(bytes)
    }

    async fn listed(&mut self) -> Result<String, Failure> {
        self.standing.count()?;
        self.may_change()?;
        let stores = self.standing.caller.surroundings.credentials.clone();
        let listed = stores.list(self.deadline()).await;
        let text = serde_json::to_string(&listed)
            .map_err(|error| Failure::new("failed", format!("the list cannot be handed over: {error}")))?;
        self.memory.pass(text.len());
        Ok(text)
    }

    async fn put_one(&mut self, name: &str, spec: &str, data: &[u8]) -> Result<(), Failure> {
        self.standing.count()?;
        self.may_change()?;
        let Spec { storage, kind, mode, effect_key } =
            serde_json::from_str(spec).map_err(|error| Failure::new("invalid", format!("spec: {error}")))?;
        let (storage, put) = (Storage::parse(&storage)?, Put::new(&kind, &effect_key, mode, data)?);
        let (stores, deadline) = (self.standing.caller.surroundings.credentials.clone(), self.deadline());
        self.begin()?;
        let answer = stores.put(name, storage, put, deadline).await;
        self.ended(answer)
    }

    async fn take_one(&mut self, name: &str, storage: &str) -> Result<(), Failure> {
        self.standing.count()?;
        self.may_change()?;
        let storage = Storage::parse(storage)?;
        let (stores, deadline) = (self.standing.caller.surroundings.credentials.clone(), self.deadline());
        self.begin()?;
        let answer = stores.remove(name, storage, deadline).await;
        self.ended(answer)
    }

    /// From here on an ending without result may have had its effect.
    fn begin(&self) -> Result<(), Failure> {
        self.may_write(false)?;
        Ok(self.standing.begin_effect()?)
    }

    fn ended(&self, answer: Result<(), Failure>) -> Result<(), Failure> {
        if answer.as_ref().is_err_and(|failure| failure.effect == Effect::None) {
            self.standing.undo_effect();
        }
        answer
    }

    fn may_see(&self, name: &str) -> Result<(), Failure> {
        self.granted(|grant| reveals(grant, &self.standing.caller.plugin, name)).map_err(denied)
    }

    fn may_change(&self) -> Result<(), Failure> {
        self.granted(|grant| grant.changes(&self.standing.caller.plugin, System::Credentials)).map_err(denied)
    }

    /// Over the grants as they are now.
    fn granted<T>(&self, decide: impl FnOnce(&Grant) -> T) -> T {
        let caller = &self.standing.caller;
        let current = caller.surroundings.authority.current();
        let nothing = Grant::default();
        decide(current.grant_of(&caller.plugin, &caller.digest).unwrap_or(&nothing))
    }
}

//! `claiflow.credential.*`, and `credstor.credential.*`, as the first version called them while its templates said otherwise.
//!
//! No result, error or log line says what a credential holds: inputs come in, and nothing goes out but keys and storages.

mod change;
mod inputs;

use claiflow_sdk::{Context, Error, Verdict, command, credentials::admin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{
    change::{Change, Work},
    inputs::{Remove, Store},
};

/// Whatever is given is left alone.
#[derive(Deserialize, JsonSchema)]
pub struct Get {}

/// One credential, without what it holds.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Key {
    key: String,
    storage: String,
}

/// Adds credentials; of a key that is there none is added.
#[command("claiflow.credential.add", effect = "verify", verify = added)]
pub fn add(inputs: Store, context: &Context) -> Result<String, Error> {
    Change::put(Work::Add, inputs)?.make(context)
}

/// Changes credentials; of a key that is not there none is changed.
#[command("claiflow.credential.update", effect = "verify", verify = updated)]
pub fn update(inputs: Store, context: &Context) -> Result<String, Error> {
    Change::put(Work::Update, inputs)?.make(context)
}

/// Removes credentials; of a key that is not there none is removed.
#[command("claiflow.credential.remove", effect = "verify", verify = removed)]
pub fn remove(inputs: Remove, context: &Context) -> Result<String, Error> {
    Change::remove(inputs)?.make(context)
}

/// Lists every credential by key and storage; never what it holds.
#[command("claiflow.credential.get", effect = "read")]
pub fn get(_inputs: Get) -> Result<Vec<Key>, Error> {
    let stored = admin::entries()?;
    match stored.unavailable.first() {
        None => Ok(stored.entries.into_iter().map(|entry| Key { key: entry.key, storage: entry.storage }).collect()),
        // Part of a list would read as the whole.
        Some(silent) => {
            Err(Error::unavailable(format!("the storage `{}` does not answer: {}", silent.storage, silent.message)))
        }
    }
}

/// As `claiflow.credential.add`.
#[command("credstor.credential.add", effect = "verify", verify = added)]
pub fn former_add(inputs: Store, context: &Context) -> Result<String, Error> {
    add(inputs, context)
}

/// As `claiflow.credential.update`.
#[command("credstor.credential.update", effect = "verify", verify = updated)]
pub fn former_update(inputs: Store, context: &Context) -> Result<String, Error> {
    update(inputs, context)
}

/// As `claiflow.credential.remove`.
#[command("credstor.credential.remove", effect = "verify", verify = removed)]
pub fn former_remove(inputs: Remove, context: &Context) -> Result<String, Error> {
    remove(inputs, context)
}

/// As `claiflow.credential.get`.
#[command("credstor.credential.get", effect = "read")]
pub fn former_get(inputs: Get) -> Result<Vec<Key>, Error> {
    get(inputs)
}

fn added(inputs: Store, context: &Context) -> Result<Verdict<String>, Error> {
    Change::put(Work::Add, inputs)?.verify(context)
}

fn updated(inputs: Store, context: &Context) -> Result<Verdict<String>, Error> {
    Change::put(Work::Update, inputs)?.verify(context)
}

fn removed(inputs: Remove, context: &Context) -> Result<Verdict<String>, Error> {
    Change::remove(inputs)?.verify(context)
}

//! Stores of credentials, played.

use std::{cell::RefCell, collections::BTreeMap, marker::PhantomData};

use super::outside::{is_asked, stop_requested};
use crate::{
    Applied, Error,
    credentials::admin::{Entry, Mode, Silent, Spec, Stored},
};

const STORAGES: [&str; 2] = ["k8s/secret", "volume"];

#[derive(Default)]
struct Held {
    /// By storage and key.
    credentials: BTreeMap<(String, String), (Entry, Vec<u8>)>,
    silent: Vec<Silent>,
    /// The error of the next write that is let through so many others.
    failing: Option<(usize, bool, Error)>,
}

thread_local! {
    static STORES: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// The stores that this thread's commands reach, until it is dropped. Without one everything is `denied`, as without a grant.
#[derive(Debug)]
pub struct Stores {
    /// They are of one thread.
    thread: PhantomData<*const ()>,
}

impl Default for Stores {
    fn default() -> Self {
        Self::new()
    }
}

impl Stores {
    /// Empty ones.
    pub fn new() -> Self {
        STORES.set(Some(Held::default()));
        Self { thread: PhantomData }
    }

    /// Puts a credential that no call wrote.
    pub fn hold(&self, storage: &str, key: &str, kind: &str, data: &[u8]) {
        let entry = Entry { key: key.into(), storage: storage.into(), kind: kind.into(), effect_key: String::new() };
        with(|held| held.credentials.insert((storage.into(), key.into()), (entry, data.to_vec())));
    }

    /// Takes one away, as another would.
    pub fn lose(&self, storage: &str, key: &str) {
        with(|held| held.credentials.remove(&(storage.to_owned(), key.to_owned())));
    }

    /// What a credential holds, and which call wrote it.
    pub fn data(&self, storage: &str, key: &str) -> Option<(Vec<u8>, String)> {
        let found = with(|held| held.credentials.get(&(storage.to_owned(), key.to_owned())).cloned()).flatten();
        found.map(|(entry, data)| (data, entry.effect_key))
    }

    /// From here on a storage does not answer.
    pub fn silence(&self, storage: &str, message: &str) {
        with(|held| held.silent.push(Silent { storage: storage.into(), message: message.into() }));
    }

    /// After `writes` more, one write fails so; with `applied` it took effect all the same.
    pub fn fail_after(&self, writes: usize, applied: bool, error: Error) {
        with(|held| held.failing = Some((writes, applied, error)));
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        STORES.take();
    }
}

fn with<T>(what: impl FnOnce(&mut Held) -> T) -> Option<T> {
    STORES.with_borrow_mut(|held| held.as_mut().map(what))
}

fn held<T>(what: impl FnOnce(&mut Held) -> Result<T, Error>) -> Result<T, Error> {
    with(what).unwrap_or_else(|| Err(Error::new("denied", "nothing is granted: a test makes `testing::Stores`")))
}

pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<_> =
        with(|held| held.credentials.keys().map(|(_, key)| key.clone()).collect()).unwrap_or_default();
    names.sort();
    names.dedup();
    names
}

pub(crate) fn reveal(name: &str) -> Result<Vec<u8>, Error> {
    held(|held| {
        let found = held.credentials.iter().find(|((_, key), _)| key == name);
        let missing = || Error::new("denied", format!("the credential `{name}` is not there"));
        found.map(|(_, (_, data))| data.clone()).ok_or_else(missing)
    })
}

pub(crate) fn entries() -> Result<String, Error> {
    held(|held| {
        let is_silent = |storage: &str| held.silent.iter().any(|silent| silent.storage == storage);
        let entries = held.credentials.values().filter(|(entry, _)| !is_silent(&entry.storage));
        let entries = entries.map(|(entry, _)| entry.clone()).collect();
        Ok(serde_json::to_string(&Stored { entries, unavailable: held.silent.clone() })?)
    })
}

pub(crate) fn put(name: &str, spec: &str, data: &[u8]) -> Result<(), Error> {
    let spec: Spec = serde_json::from_str(spec)?;
    write(name, &spec.storage, |held| {
        let at = (spec.storage.clone(), name.to_owned());
        let place = format!("`{name}` in `{}`", spec.storage);
        match (spec.mode, held.credentials.contains_key(&at)) {
            (Mode::Add, true) => return Err(Error::exists(format!("the credential {place} is there"))),
            (Mode::Update, false) => return Err(Error::not_found(format!("the credential {place} is not there"))),
            _ => {}
        }
        let Spec { storage, kind, effect_key, .. } = spec.clone();
        held.credentials.insert(at, (Entry { key: name.to_owned(), storage, kind, effect_key }, data.to_vec()));
        Ok(())
    })
}

pub(crate) fn remove(name: &str, storage: &str) -> Result<(), Error> {
    write(name, storage, |held| {
        let missing = || Error::not_found(format!("the credential `{name}` in `{storage}` is not there"));
        held.credentials.remove(&(storage.to_owned(), name.to_owned())).map(drop).ok_or_else(missing)
    })
}

fn write(name: &str, storage: &str, what: impl FnOnce(&mut Held) -> Result<(), Error>) -> Result<(), Error> {
    let none = |error: Error| error.applied(Applied::No);
    if is_asked() {
        return Err(none(Error::new("denied", "`verify` leaves nothing behind")));
    }
    if let Some(why) = stop_requested() {
        return Err(none(Error::stopped(format!("nothing is written any more: {why}"))));
    }
    held(|held| {
        if !STORAGES.contains(&storage) {
            let message = format!("the credential `{name}`: storage `{storage}` is none of {}", STORAGES.join(", "));
            return Err(none(Error::invalid(message)));
        }
        if let Some(silent) = held.silent.iter().find(|silent| silent.storage == storage) {
            return Err(none(Error::unavailable(silent.message.clone())));
        }
        match held.failing.take() {
            Some((0, applied, error)) => {
                if applied {
                    what(held)?;
                }
                return Err(error);
            }
            Some((writes, applied, error)) => held.failing = Some((writes - 1, applied, error)),
            None => {}
        }
        what(held).map_err(none)
    })
}

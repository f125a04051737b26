//! A change of several credentials: all of them are looked at before the first is written, and each carries the effect key of the
//! call that wrote it, so that a later attempt knows which of them this call has changed.

use claiflow_sdk::{
    Applied, Context, Error, Verdict,
    credentials::admin::{self, Entry, Mode, Spec, Stored},
    task,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::inputs::{Given, Place, Remove, Store};

/// What is done to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Add,
    Update,
    Remove,
}

/// Which credentials are changed, and how.
pub(super) struct Change {
    work: Work,
    targets: Vec<Target>,
}

struct Target {
    place: Place,
    /// Type and data; none where it is removed.
    given: Option<(String, Value)>,
}

/// The note that is left before the first write: which call had written each credential, in the order of the targets. A call
/// without it has changed nothing.
#[derive(Serialize, Deserialize)]
struct Seen {
    seen: Vec<String>,
}

/// Where one of them stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// As it was.
    Before,
    /// As this call leaves it.
    After,
    /// Somebody else has changed it since.
    Foreign,
}

impl Change {
    /// # Errors
    /// `invalid`: which part of the inputs is wrong.
    pub(super) fn put(work: Work, inputs: Store) -> Result<Self, Error> {
        let target = |(key, given): (String, Given)| {
            let place = given.place(&key)?;
            Ok(Target { place, given: Some((given.kind, given.data)) })
        };
        let targets: Vec<_> = inputs.credentials.into_iter().map(target).collect::<Result<_, Error>>()?;
        if targets.is_empty() {
            return Err(Error::invalid("credentials: it is empty; name at least one"));
        }
        Ok(Self { work, targets })
    }

    /// # Errors
    /// `invalid`: which part of the inputs is wrong.
    pub(super) fn remove(inputs: Remove) -> Result<Self, Error> {
        let places = inputs.credential_keys.iter().enumerate().map(|(index, named)| named.place(index));
        let mut places: Vec<_> = places.collect::<Result<_, Error>>()?;
        places.sort();
        places.dedup();
        if places.is_empty() {
            return Err(Error::invalid("credential_keys: it is empty; name at least one"));
        }
        let targets = places.into_iter().map(|place| Target { place, given: None }).collect();
        Ok(Self { work: Work::Remove, targets })
    }

    /// Changes all of them, or says which were.
    ///
    /// # Errors
    /// `exists` or `not-found` with the keys, before anything is changed; `conflict` where somebody else changes the same ones; the
    /// stores' own.
    pub(super) fn make(&self, context: &Context) -> Result<String, Error> {
        let stored = self.stored().map_err(|error| error.applied(Applied::No))?;
        let Some(seen) = noted(context) else {
            self.check(&stored).map_err(|error| error.applied(Applied::No))?;
            let seen = self.targets.iter().map(|target| mark(find(&stored, &target.place))).collect();
            task::note(&Seen { seen }).map_err(|error| error.applied(Applied::No))?;
            return self.write(self.targets.iter().collect(), context);
        };
        let states = self.states(&stored, &seen, context);
        let of = |state| move |(target, is): (&'_ Target, State)| (is == state).then(|| target.place.to_string());
        let foreign: Vec<_> = self.targets.iter().zip(states.clone()).filter_map(of(State::Foreign)).collect();
        if !foreign.is_empty() {
            let message = format!("somebody else has changed {} since this task began", foreign.join(", "));
            return Err(Error::conflict(message).applied(Applied::Unknown));
        }
        let left = self.targets.iter().zip(states).filter(|(_, state)| *state == State::Before);
        self.write(left.map(|(target, _)| target).collect(), context)
    }

    /// What an earlier attempt did.
    ///
    /// # Errors
    /// Where a store does not answer.
    pub(super) fn verify(&self, context: &Context) -> Result<Verdict<String>, Error> {
        let Some(seen) = noted(context) else { return Ok(Verdict::NotDone) };
        let states = self.states(&self.stored()?, &seen, context);
        if let Some((target, _)) = self.targets.iter().zip(&states).find(|(_, state)| **state == State::Foreign) {
            let message = format!("somebody else has changed {} since, and hid whether this call did", target.place);
            return Ok(Verdict::Unknown(message));
        }
        // What is left of a change that was interrupted is made by the next attempt.
        let is_done = states.iter().all(|state| *state == State::After);
        Ok(if is_done { Verdict::Done(self.told()) } else { Verdict::NotDone })
    }

    /// What there is, where every storage that matters here answers.
    fn stored(&self) -> Result<Stored, Error> {
        let stored = admin::entries()?;
        let is_needed = |storage: &str| self.targets.iter().any(|target| target.place.storage == storage);
        match stored.unavailable.iter().find(|silent| is_needed(&silent.storage)) {
            Some(silent) => {
                Err(Error::unavailable(format!("the storage `{}` does not answer: {}", silent.storage, silent.message)))
            }
            None => Ok(stored),
        }
    }

    /// Whether each is there, or is not, as it has to be.
    fn check(&self, stored: &Stored) -> Result<(), Error> {
        let wrong = |target: &&Target| find(stored, &target.place).is_some() == (self.work == Work::Add);
        let wrong: Vec<_> = self.targets.iter().filter(wrong).map(|target| target.place.to_string()).collect();
        match (wrong.is_empty(), self.work) {
            (true, _) => Ok(()),
            (false, Work::Add) => Err(Error::exists(format!("nothing was added: {} there already", are(&wrong)))),
            (false, Work::Update) => Err(Error::not_found(format!("nothing was changed: {} not there", are(&wrong)))),
            (false, Work::Remove) => Err(Error::not_found(format!("nothing was removed: {} not there", are(&wrong)))),
        }
    }

    fn states(&self, stored: &Stored, seen: &[String], context: &Context) -> Vec<State> {
        let state = |(index, target): (usize, &Target)| {
            let now = find(stored, &target.place);
            let is_ours =
                now.is_some_and(|entry| !entry.effect_key.is_empty() && entry.effect_key == context.effect_key);
            let is_same = now.is_some() && seen.get(index).is_some_and(|seen| *seen == mark(now));
            match (self.work, now) {
                (Work::Add, None) => State::Before,
                (Work::Remove, None) => State::After,
                (Work::Add | Work::Update, Some(_)) if is_ours => State::After,
                (Work::Update | Work::Remove, Some(_)) if is_same => State::Before,
                _ => State::Foreign,
            }
        };
        self.targets.iter().enumerate().map(state).collect()
    }

    fn write(&self, left: Vec<&Target>, context: &Context) -> Result<String, Error> {
        let mut written: Vec<&Target> = Vec::new();
        for target in left {
            if let Err(error) = self.write_one(target, context) {
                return Err(self.failed(error, target, &written));
            }
            written.push(target);
        }
        Ok(self.told())
    }

    fn write_one(&self, target: &Target, context: &Context) -> Result<(), Error> {
        let Place { storage, key } = &target.place;
        let Some((kind, data)) = &target.given else { return admin::remove(key, storage) };
        let mode = if self.work == Work::Add { Mode::Add } else { Mode::Update };
        let effect_key = context.effect_key.clone();
        let spec = Spec { storage: (*storage).to_owned(), kind: kind.clone(), mode, effect_key };
        admin::put(key, &spec, data.to_string().as_bytes())
    }

    /// What was added before the failure is taken away again; what else was changed is told.
    fn failed(&self, error: Error, target: &Target, written: &[&Target]) -> Error {
        let error = error.while_doing(&target.place);
        if written.is_empty() || error.had_effect() != Some(Applied::No) {
            return error;
        }
        let take_back = |target: &&&Target| admin::remove(&target.place.key, target.place.storage).is_err();
        let left: Vec<_> = match self.work {
            Work::Add => written.iter().filter(take_back).map(|target| target.place.to_string()).collect(),
            Work::Update | Work::Remove => written.iter().map(|target| target.place.to_string()).collect(),
        };
        if left.is_empty() {
            return error;
        }
        // Another attempt makes the rest where it may go well.
        let applied = if error.may_pass_later() { Applied::Unknown } else { Applied::Yes };
        error.while_doing(format!("after {} {}", left.join(", "), self.work.done())).applied(applied)
    }

    fn told(&self) -> String {
        let places: Vec<_> = self.targets.iter().map(|target| target.place.to_string()).collect();
        format!("{} {}", self.work.done(), places.join(", "))
    }
}

impl Work {
    fn done(self) -> &'static str {
        match self {
            Self::Add => "added",
            Self::Update => "updated",
            Self::Remove => "removed",
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` in `{}`", self.key, self.storage)
    }
}

fn find<'a>(stored: &'a Stored, place: &Place) -> Option<&'a Entry> {
    stored.entries.iter().find(|entry| entry.key == place.key && entry.storage == place.storage)
}

fn mark(entry: Option<&Entry>) -> String {
    entry.map(|entry| entry.effect_key.clone()).unwrap_or_default()
}

fn noted(context: &Context) -> Option<Vec<String>> {
    let seen = context.notes.iter().rev().find_map(|note| serde_json::from_value::<Seen>(note.clone()).ok());
    seen.map(|Seen { seen }| seen)
}

fn are(places: &[String]) -> String {
    format!("{} {}", places.join(", "), if places.len() == 1 { "is" } else { "are" })
}

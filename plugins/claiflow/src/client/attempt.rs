//! One upgrade: begun, gone on with by a later attempt, or rolled back. The effect key in the pod template says how far it came.

use std::{collections::BTreeMap, time::Duration};

use claiflow_sdk::{Applied, Context, Error, Verdict, log, task};

use super::{
    before::{self, Before},
    change,
    environment::{self, Source},
    image,
    objects::Kept,
    place::{self, deployments, named, number, text},
    rollout::{self, Came},
};

/// Of the call's time, this is for the way back.
const RESERVE: Duration = Duration::from_secs(20);

pub(super) struct Upgrade<'a> {
    suffix: String,
    values: &'a BTreeMap<String, String>,
    context: &'a Context,
    noted: Option<Before>,
}

impl<'a> Upgrade<'a> {
    pub(super) fn new(
        suffix: String,
        values: &'a BTreeMap<String, String>,
        context: &'a Context,
    ) -> Result<Self, Error> {
        if context.effect_key.is_empty() {
            return Err(Error::failed("the call has no effect key"));
        }
        Ok(Self { suffix, values, context, noted: before::noted(context) })
    }

    pub(super) fn run(&self, timeout: Duration) -> Result<String, Error> {
        let before = match &self.noted {
            Some(before) => before.clone(),
            None => self.look().map_err(|error| error.applied(Applied::No))?,
        };
        let deployment = deployments(&before.namespace).get(&before.deployment)?;
        if let Some(why) = change::rolled_back(&deployment, self.key()) {
            return Err(not_up(&before, &why, "an earlier attempt rolled it back").applied(Applied::No));
        }
        before::begin(self.context).map_err(|error| error.applied(Applied::No))?;
        if rollout::mark(&deployment) != Some(self.key()) {
            self.begin(&before, &deployment)?;
        }
        match rollout::follow(&before, self.key(), self.time(timeout))? {
            Came::Up => {
                self.settle(&before);
                Ok(succeeded(&before))
            }
            Came::NotUp(why) => Err(self.roll_back(&before, &why)),
        }
    }

    pub(super) fn verify(&self) -> Result<Verdict<String>, Error> {
        // Before its note, a call changes nothing.
        let Some(before) = &self.noted else { return Ok(Verdict::NotDone) };
        let deployment = deployments(&before.namespace).get(&before.deployment)?;
        if change::rolled_back(&deployment, self.key()).is_some() {
            return Ok(Verdict::NotDone);
        }
        let is_begun = rollout::mark(&deployment) == Some(self.key());
        if !is_begun && number(&deployment, "/metadata/generation") != before.generation {
            return Ok(Verdict::Unknown(format!("somebody else changed the Deployment `{}` since", before.deployment)));
        }
        let remembers = self.remembers(before)?;
        if is_begun && !remembers && rollout::is_complete(&deployment) {
            return Ok(Verdict::Done(succeeded(before)));
        }
        if (is_begun || remembers) && before::is_of_this_attempt(self.context) {
            let Before { deployment, wanted, .. } = before;
            return Ok(Verdict::Unknown(format!(
                "the upgrade of `{deployment}` to {wanted} is begun, and nobody watches it"
            )));
        }
        // Another attempt begins, or goes on with it.
        Ok(Verdict::NotDone)
    }

    fn key(&self) -> &str {
        &self.context.effect_key
    }

    fn time(&self, timeout: Duration) -> Duration {
        let left = Duration::from_millis(task::remaining_ms());
        timeout.min(left.checked_sub(RESERVE).unwrap_or(left / 2))
    }

    /// What is there and what is meant, noted.
    fn look(&self) -> Result<Before, Error> {
        let place = place::find(self.context)?;
        let (_, container) = named(&place.deployment, &place.container).ok_or_else(change::lost_container)?;
        let image = text(container, "/image").unwrap_or_default().to_owned();
        let before = Before {
            variables: environment::sources(&place.namespace, container, self.values.keys())?,
            deployment: place::name(&place.deployment).to_owned(),
            generation: number(&place.deployment, "/metadata/generation"),
            wanted: format!("{}{}", image::repository(&image), self.suffix),
            namespace: place.namespace,
            container: place.container,
            replica_set: place.replica_set,
            image,
        };
        task::note(&before)?;
        Ok(before)
    }

    /// Sets everything: what the environment comes from first, since the new pods read it.
    fn begin(&self, before: &Before, deployment: &serde_json::Value) -> Result<(), Error> {
        let mut set = Vec::new();
        for (kept, values) in self.objects(before) {
            if let Err(error) = kept.set(&before.namespace, &values, self.key()) {
                set.extend((error.had_effect() != Some(Applied::No)).then_some(kept));
                return Err(self.taken_back(before, &set, error));
            }
            set.push(kept);
        }
        let of_container = |name: &String| before.variables.get(name) == Some(&Source::Container);
        let values = self.values.iter().filter(|(name, _)| of_container(name));
        let values = values.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        change::forward(before, deployment, &values, self.key()).map_err(|error| match error.had_effect() {
            Some(Applied::No) => {
                let said = error.while_doing(format_args!("the Deployment `{}` is not changed", before.deployment));
                self.taken_back(before, &set, said)
            }
            // Nobody knows whether it is changed.
            _ => error,
        })
    }

    /// The Deployment was certainly not changed: then nothing else is to be.
    fn taken_back(&self, before: &Before, set: &[&Kept], error: Error) -> Error {
        match set.iter().try_for_each(|kept| kept.restore(&before.namespace, self.key())) {
            Ok(()) => error.applied(Applied::No),
            Err(second) => {
                let why =
                    format!("{}; what it comes from could not be put back: {}", error.message(), second.message());
                Error::new(error.code().to_owned(), why).applied(Applied::Unknown)
            }
        }
    }

    /// Values by the object that they are set in.
    fn objects<'b>(&'b self, before: &'b Before) -> BTreeMap<&'b Kept, BTreeMap<&'b str, &'b str>> {
        let mut objects: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (name, value) in self.values {
            if let Some(Source::Object { kept, key }) = before.variables.get(name) {
                objects.entry(kept).or_default().insert(key.as_str(), value.as_str());
            }
        }
        objects
    }

    fn restore(&self, before: &Before) -> Result<(), Error> {
        self.objects(before).into_keys().try_for_each(|kept| kept.restore(&before.namespace, self.key()))
    }

    /// Whether an object still keeps what was there before.
    fn remembers(&self, before: &Before) -> Result<bool, Error> {
        for kept in self.objects(before).into_keys() {
            if kept.remembers(&before.namespace, self.key())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// It is up: what was there before is not needed any more.
    fn settle(&self, before: &Before) {
        for kept in self.objects(before).into_keys() {
            if let Err(error) = kept.forget(&before.namespace, self.key()) {
                log::warn(format_args!("{kept} still holds what was there before the upgrade: {error}"), &[]);
            }
        }
    }

    /// Makes everything what it was, and says why.
    fn roll_back(&self, before: &Before, why: &str) -> Error {
        let back = change::back(before, self.key(), why);
        match back.and_then(|is_ours| self.restore(before).map(|()| is_ours)) {
            Ok(true) => {
                let then = format!("rolled back: it is {} again, and so is its environment", before.image);
                not_up(before, why, &then).applied(Applied::No)
            }
            Ok(false) => not_up(before, why, "the Deployment is left as it is").applied(Applied::No),
            Err(error) => {
                let then = format!("and could not be rolled back: {}", error.message());
                not_up(before, why, &then).applied(Applied::Unknown)
            }
        }
    }
}

fn succeeded(before: &Before) -> String {
    format!("{} runs {}; it was {}", before.deployment, before.wanted, before.image)
}

fn not_up(before: &Before, why: &str, then: &str) -> Error {
    Error::failed(format!("{} did not come up as {}: {why}; {then}", before.deployment, before.wanted))
}

//! Global variables: shown, changed, and in effect on every replica a few seconds later.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use parking_lot::RwLock;

use super::{
    App, Error,
    text::{summary, unchanged},
};
use crate::{
    model::{
        ids::{Source, lookup},
        list::Listing,
        nouns::Variable,
        variables::{KNOWN, Kind, SECRET, Settings, known},
    },
    storage::{self, Store},
};

/// Characters of the value of a variable that the server does not read.
const VALUE_BYTES: usize = 65_535;
/// What was read for longer is read again before it is used, where nothing else renews it.
const AGE: Duration = Duration::from_secs(5);
/// An unknown signature has the secret read again, but not more often than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the variables said last.
pub(super) struct Variables(RwLock<(Instant, Arc<Settings>)>);

/// What a caller says about a variable.
#[derive(Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Change {
    pub uuid: Option<String>,
    pub name: Option<String>,
    pub summary: Option<String>,
    /// A secret may be in it: never logged.
    pub value: Option<String>,
}

impl Variables {
    /// Writes the defaults that are missing, and reads all.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine.
    pub(super) async fn open(store: &Store, source: &Source) -> Result<Self, storage::Error> {
        Ok(Self(RwLock::new((Instant::now(), Arc::new(read(store, source).await?)))))
    }

    /// What was read last, and how long ago.
    fn last(&self) -> (Duration, Arc<Settings>) {
        let held = self.0.read();
        (held.0.elapsed(), Arc::clone(&held.1))
    }
}

async fn read(store: &Store, source: &Source) -> Result<Settings, storage::Error> {
    let mut stored = store.variable_values().await?;
    let is_there = |name: &str| {
        stored.iter().any(|(known, value)| known == name && !(name == SECRET.name && value.trim().is_empty()))
    };
    if !KNOWN.iter().all(|known| is_there(known.name)) {
        let now_us = source.now_us();
        let secret = STANDARD.encode([source.random(), source.random()].concat());
        for known in KNOWN {
            let value = if known.kind == Kind::Secret { &secret } else { known.default };
            store.default_variable(known, value, now_us).await?;
        }
        if store.fill_secret(&secret, now_us).await? {
            tracing::warn!(variable = SECRET.name, "the secret was empty, and is a random one now");
        }
        stored = store.variable_values().await?;
    }
    let (settings, wrong) = Settings::of(&stored);
    for sentence in wrong {
        tracing::warn!("the global variable {sentence}");
    }
    Ok(settings)
}

impl App {
    /// What the variables said when they were last read.
    #[must_use]
    pub(super) fn settings(&self) -> Arc<Settings> {
        self.variables.last().1
    }

    /// What the variables say, a few seconds old at most.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(super) async fn recent_settings(&self) -> Result<Arc<Settings>, Error> {
        match self.variables.last() {
            (age, settings) if age < AGE => Ok(settings),
            _ => self.read_variables().await,
        }
    }

    /// Whether the secret may have changed since it was read; it was then read again.
    pub(super) async fn secret_may_be_new(&self) -> Result<bool, Error> {
        let (age, before) = self.variables.last();
        Ok(age >= PATIENCE && self.read_variables().await?.secret != before.secret)
    }

    /// Reads the variables. Where the secret is another one, no session that was signed before is worth anything: what was
    /// opened with one here is ended, and its agent authenticates again.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn read_variables(&self) -> Result<Arc<Settings>, Error> {
        let settings = Arc::new(read(&self.store, &self.source).await?);
        let before = {
            let mut held = self.variables.0.write();
            std::mem::replace(&mut *held, (Instant::now(), Arc::clone(&settings))).1
        };
        if before.secret != settings.secret {
            tracing::warn!(variable = SECRET.name, "the secret has changed: agents authenticate again");
            self.dispatch.disconnect_agents();
        }
        Ok(settings)
    }

    /// Variables in the order of their rows.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn variables(&self, listing: &Listing<i64>) -> Result<Vec<Variable>, Error> {
        Ok(self.store.variables(listing).await?)
    }

    /// One variable.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn variable(&self, uuid: &str) -> Result<Variable, Error> {
        self.store.variable_row(&lookup(uuid)).await?.ok_or_else(|| {
            Error::NotFound(format!("there is no global variable `{uuid}`; GET /api/v1/global_variables lists them"))
        })
    }

    /// Changes what is given. It is in effect here at once, and on the other replicas within 10 s.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Malformed`], [`Error::Invalid`] for a value that the variable cannot hold.
    pub async fn change_variable(&self, uuid: &str, change: Change) -> Result<Variable, Error> {
        let mut row = self.variable(uuid).await?;
        unchanged("uuid", &row.uuid, change.uuid.as_deref())?;
        if let Some(name) = change.name.filter(|name| !name.is_empty() && *name != row.name) {
            return Err(Error::Malformed(format!("`name` cannot change: it is `{}`, not `{name}`", row.name)));
        }
        if let Some(value) = change.value {
            let checked = match known(&row.name) {
                Some(known) => known.check(&value),
                None if value.len() > VALUE_BYTES => Err(format!("it has at most {VALUE_BYTES} bytes")),
                None => Ok(()),
            };
            checked.map_err(|message| Error::Invalid {
                detail: format!("`value` is nothing that {} can hold: {message}", row.name),
                errors: vec![("/value".into(), message)],
            })?;
            row.value = value;
        }
        row.summary = summary(change.summary)?.or(row.summary);
        row.updated = self.source.now_us();
        self.store.change_variable(&row).await?;
        self.read_variables().await?;
        Ok(row)
    }
}

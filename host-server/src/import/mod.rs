//! `claiflow-server import`: the content of the first version's database, taken over with nothing lost.
//!
//! It is read and never changed. Each page of rows is one transaction in the target, and what is there already stays as it is:
//! an import that was ended anywhere, however it was ended, is run again and goes on.

mod clear;
mod pages;
mod resources;
mod summary;
mod tables;
mod tasks;
mod webhooks;
mod work;

pub use clear::{Clear, Opener};
pub use summary::{Count, Summary};

use tables::Tables;
use work::Work;

use crate::{
    app::predefined,
    model::{ids::Source, original::Odd, variables::Settings},
    storage::{self, Original, OriginalPlace, Store},
};

/// The one version that the first version's last migration left.
const VERSION: i64 = 11;

/// Why nothing, or not all, could be taken over.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was named is no database of the first version, or of another state of it.
    #[error("{0}")]
    NotTheOriginal(String),
    /// A table or a column that is needed is missing.
    #[error("the first version's database lacks {0}")]
    Missing(String),
    /// The target is in use.
    #[error("the target holds clusters, and not from an import: name an empty database or another data directory")]
    InUse,
    /// A row has no key by which the next one could be found.
    #[error("a row of {0} cannot be read: {1}")]
    Row(String, #[source] Odd),
    /// The server's own templates.
    #[error(transparent)]
    Broken(#[from] predefined::Broken),
    /// A database refused, or went away.
    #[error("a database did not do what it should; run the same command again: it goes on where it is")]
    Storage(#[from] storage::Error),
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The operator says that the first version's server is stopped, so that tasks which have not ended can be taken over.
    pub stopped: bool,
    /// Inputs and result of one task at most, bytes, where the target has a limit.
    pub most_bytes: Option<usize>,
    /// What opens values that the first version encrypted.
    pub clear: Clear,
}

impl Import {
    /// Takes over what the database at `place` holds into `store`.
    ///
    /// # Errors
    /// [`Error`]; what was taken over before stays.
    pub async fn run(self, place: &OriginalPlace, store: &Store, source: &Source) -> Result<Summary, Error> {
        let original = Original::open(place).await?;
        let outcome = self.all(&original, place, store, source).await;
        original.close().await;
        outcome
    }

    async fn all(
        self,
        original: &Original,
        place: &OriginalPlace,
        store: &Store,
        source: &Source,
    ) -> Result<Summary, Error> {
        recognise(original.version().await?, place)?;
        let tables = Tables::find(original)?;
        if !store.begin_import(&place.to_string(), source.now_us()).await? {
            return Err(Error::InUse);
        }
        let mut work = Work { original, store, source, clear: self.clear.clone(), summary: Summary::default() };
        work.variables(tables.variables).await?;
        let (settings, _) = Settings::of(&store.variable_values().await?);
        work.clusters(tables.clusters).await?;
        work.tokens(tables.tokens, &settings).await?;
        work.templates(tables.templates).await?;
        work.webhooks(tables.webhooks).await?;
        work.tasks(&self, &tables, &settings).await?;
        for table in original.tables().into_iter().filter(|table| !tables.are_taken(table)) {
            work.summary.left.push((table.to_owned(), original.count(table).await?));
        }
        work.summary.complete = work.summary.open() == 0;
        if work.summary.complete {
            store.end_import(source.now_us()).await?;
        }
        Ok(work.summary)
    }
}

fn recognise(version: Option<(i64, bool)>, place: &OriginalPlace) -> Result<(), Error> {
    match version {
        Some((VERSION, false)) => Ok(()),
        Some((VERSION, true)) => Err(Error::NotTheOriginal(format!(
            "{place}: its last migration was left half done (schema_migrations.dirty); let the first version's server repair it first"
        ))),
        Some((other, _)) => Err(Error::NotTheOriginal(format!(
            "{place}: schema_migrations.version is {other}, not {VERSION}; start the last release of the first version on it once, which brings it up to date"
        ))),
        None => Err(Error::NotTheOriginal(format!(
            "{place}: it is not a database of the first version, which has a table `schema_migrations` that says {VERSION}"
        ))),
    }
}

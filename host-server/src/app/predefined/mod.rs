//! The templates that the server brings: installed at its start, kept up to date, and left to whoever changed or deleted one.

mod shipped;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use shipped::{Broken, EDITION, shipped};

use super::{App, template::seconds};
use crate::{
    model::predefined::Decision,
    storage::{self, Brought},
};

/// Somebody who stores a template is in the way once; a database that fails over, for a second or two.
const TRIES: u32 = 8;

/// Why the templates could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program was built with data that it cannot read.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The database is away, or refuses.
    #[error("the predefined templates could not be stored")]
    Storage(#[from] storage::Error),
}

impl App {
    /// Installs the server's templates and renews those that nobody touched; any number of replicas may do so at once. What was
    /// left to people is said in the log.
    ///
    /// # Errors
    /// [`Error`]; nothing was stored then.
    pub async fn bring_templates(&self) -> Result<Brought, Error> {
        let ours = shipped(seconds(self.source.now_us()))?;
        let mut tries = 0;
        let brought = loop {
            match self.store.bring_templates(EDITION, &ours).await {
                Err(error) if tries < TRIES && (error.may_pass() || matches!(error, storage::Error::Duplicate)) => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(5 << tries)).await;
                }
                outcome => break outcome?,
            }
        };
        say(&brought);
        Ok(brought)
    }
}

fn say(brought: &Brought) {
    let of = |wanted: Decision| -> Vec<&str> {
        let met = brought.decisions.iter().filter(|(_, decision)| *decision == wanted);
        met.map(|(uuid, _)| uuid.as_str()).collect()
    };
    let (installed, renewed) = (of(Decision::Install).len(), of(Decision::Renew).len());
    if installed + renewed > 0 {
        tracing::info!(
            templates.installed = installed,
            templates.renewed = renewed,
            "the predefined templates are up to date"
        );
    }
    let (changed, deleted, taken) = (of(Decision::Changed), of(Decision::Deleted), of(Decision::Taken));
    if changed.len() + deleted.len() > 0 {
        tracing::info!(
            templates.changed = ?changed,
            templates.deleted = ?deleted,
            "predefined templates that somebody changed or deleted stay as they are"
        );
    }
    if !taken.is_empty() {
        tracing::warn!(
            templates = ?taken,
            "these predefined templates are not installed: templates of your own have their uuids; delete yours, or store it under another uuid, and start again"
        );
    }
    for (name, uuid) in &brought.namesakes {
        tracing::warn!(
            template.name = name,
            template.uuid = uuid,
            "this template of your own has the name of a predefined one; both are kept, and tasks name templates by uuid"
        );
    }
}

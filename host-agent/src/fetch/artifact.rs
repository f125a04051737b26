//! Keeps a shelf equal to the artifacts that the operator names.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::watch;

use super::{Registries, Shelf, backoff::Backoff};

/// Runs until nobody says any more what is wanted: names and references such as `registry.example.com/tools/restart@sha256:…`.
pub async fn artifacts(
    shelf: Shelf,
    registries: Registries,
    mut wanted: watch::Receiver<Arc<BTreeMap<String, String>>>,
) {
    let mut backoff = Backoff::default();
    loop {
        let now = wanted.borrow_and_update().clone();
        let is_whole = all(&shelf, &registries, &now).await;
        let changed = if is_whole {
            backoff.reset();
            wanted.changed().await
        } else {
            tokio::select! {
                changed = wanted.changed() => changed,
                () = tokio::time::sleep(backoff.next()) => Ok(()),
            }
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Fetches what is not there; whether all of it is there now.
async fn all(shelf: &Shelf, registries: &Registries, wanted: &BTreeMap<String, String>) -> bool {
    let names: BTreeSet<String> = wanted.keys().cloned().collect();
    if let Err(error) = shelf.keep_only(&names) {
        tracing::error!(directory = %shelf.directory().display(), "plugins that are wanted no longer cannot be removed: {error}");
    }
    let mut is_whole = true;
    for (name, reference) in wanted {
        if shelf.has(name, reference) {
            shelf.found(name);
            continue;
        }
        let fetched = registries.pull(reference).await.and_then(|bytes| {
            shelf.put(name, reference, &bytes).map_err(|error| format!("it cannot be kept: {error}"))?;
            Ok(bytes.len())
        });
        match fetched {
            Ok(bytes) => tracing::info!(plugin = name, reference, bytes, "the plugin is fetched"),
            Err(reason) => {
                is_whole = false;
                shelf.miss(name, &format!("{reference}: {reason}"));
            }
        }
    }
    is_whole
}

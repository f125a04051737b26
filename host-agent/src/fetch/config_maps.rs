//! Keeps a shelf equal to the ConfigMaps of the agent's namespace that have the label `claiflow.io/plugin`.
//!
//! Only metadata is listed and watched; a ConfigMap is read when it is needed. Any change makes the list be read again, so that
//! what was missed while a watch was broken is seen like everything else.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use futures_util::TryStreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{ListParams, PartialObjectMeta, WatchEvent, WatchParams},
};

use super::{
    Shelf,
    backoff::Backoff,
    parts::{self, Piece},
};

const LABEL: &str = "claiflow.io/plugin";
/// A burst of changes (the parts of one plugin) is over when nothing came for this long.
const QUIET: Duration = Duration::from_millis(100);
/// Everything but the watch itself.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// The API server ends a watch after this long; a line that died without a word is noticed a little later.
const WATCH_S: u32 = 240;
const MAPS_MAX: usize = 512;

/// Runs for ever.
pub async fn config_maps(shelf: Shelf, client: Client, namespace: String) {
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let mut backoff = Backoff::default();
    loop {
        match round(&shelf, &maps).await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                let wait = backoff.next();
                tracing::warn!(namespace, retry_s = wait.as_secs(), "plugins in ConfigMaps are not looked at: {error}");
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// Brings the shelf up to date and waits for the next change.
async fn round(shelf: &Shelf, maps: &Api<ConfigMap>) -> Result<(), String> {
    let listing = ListParams::default().labels(LABEL);
    let listed = within(maps.list_metadata(&listing)).await?;
    let version = listed.metadata.resource_version.clone().unwrap_or_default();
    let is_whole = arrange(shelf, maps, listed.items).await;
    let watch = WatchParams::default().labels(LABEL).timeout(WATCH_S).disable_bookmarks();
    let mut events = pin!(within(maps.watch_metadata(&watch, &version)).await?);
    // Where something could not be read it is tried again before anything changes.
    let mut patience = if is_whole { Duration::from_secs(u64::from(WATCH_S) + 15) } else { Duration::from_secs(5) };
    loop {
        match tokio::time::timeout(patience, events.try_next()).await {
            Ok(Ok(Some(WatchEvent::Error(error)))) if error.code != 410 => return Err(error.message.clone()),
            Ok(Ok(Some(WatchEvent::Bookmark(_)))) => {}
            Ok(Ok(Some(WatchEvent::Error(_)))) => return Ok(()),
            Ok(Ok(Some(_))) => patience = QUIET,
            Ok(Ok(None)) | Err(_) => return Ok(()),
            Ok(Err(error)) => return Err(error.to_string()),
        }
    }
}

async fn within<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(REQUEST_MAX, request).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the API server did not answer within {} s", REQUEST_MAX.as_secs())),
    }
}

/// Puts onto the shelf what is there whole and is not on it yet; whether all could be read.
async fn arrange(shelf: &Shelf, maps: &Api<ConfigMap>, listed: Vec<PartialObjectMeta<ConfigMap>>) -> bool {
    if listed.len() > MAPS_MAX {
        tracing::warn!(maps = listed.len(), maps_max = MAPS_MAX, "further labelled ConfigMaps are ignored");
    }
    let mut by_plugin: BTreeMap<String, Vec<Result<Piece, String>>> = BTreeMap::new();
    for map in listed.into_iter().take(MAPS_MAX) {
        let metadata = map.metadata;
        let plugin = metadata.labels.unwrap_or_default().remove(LABEL).unwrap_or_default();
        let made = metadata.creation_timestamp.map_or(0, |time| time.0.as_second());
        let made = (made, metadata.resource_version.unwrap_or_default());
        let piece = Piece::read(metadata.name.unwrap_or_default(), made, &metadata.annotations.unwrap_or_default());
        if is_plain(&plugin) {
            by_plugin.entry(plugin).or_default().push(piece);
        }
    }
    let wanted: BTreeSet<String> = by_plugin.keys().cloned().collect();
    if let Err(error) = shelf.keep_only(&wanted) {
        tracing::error!(directory = %shelf.directory().display(), "plugins that are wanted no longer cannot be removed: {error}");
    }
    let mut is_whole = true;
    for (plugin, pieces) in by_plugin {
        let outcome = match pieces.into_iter().collect::<Result<Vec<_>, _>>().and_then(parts::whole) {
            Ok(whole) if shelf.has(&plugin, &whole.origin) => {
                shelf.found(&plugin);
                continue;
            }
            Ok(whole) => read(maps, &plugin, &whole)
                .await
                .inspect_err(|_| is_whole = false)
                .and_then(|bytes| shelf.put(&plugin, &whole.origin, &bytes).map_err(|error| error.to_string())),
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(()) => tracing::info!(plugin, "the plugin is taken from its ConfigMaps"),
            Err(reason) => shelf.miss(&plugin, &reason),
        }
    }
    is_whole
}

/// A label's value names a file.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

async fn read(maps: &Api<ConfigMap>, plugin: &str, whole: &parts::Whole) -> Result<Vec<u8>, String> {
    let mut pieces = Vec::with_capacity(whole.pieces.len());
    let mut is_compressed = false;
    let mut digest = None;
    for piece in &whole.pieces {
        let map = within(maps.get(&piece.config_map)).await?;
        let mut data = map.binary_data.unwrap_or_default();
        let (plain, packed) = (format!("{plugin}.wasm"), format!("{plugin}.wasm.zst.{}", piece.part));
        let bytes = match (data.remove(&packed), data.remove(&plain)) {
            (Some(bytes), _) => {
                is_compressed = true;
                bytes
            }
            (None, Some(bytes)) if piece.parts == 1 => bytes,
            (None, _) => {
                return Err(format!(
                    "the ConfigMap {} has neither `{plain}` nor `{packed}` in its binaryData",
                    piece.config_map
                ));
            }
        };
        pieces.push(bytes.0);
        digest = piece.sha256.as_deref();
    }
    parts::join(&pieces, is_compressed, digest)
}

//! Plugin files that come over the network: OCI artifacts by digest, and ConfigMaps with a label. They end up in directories that
//! only the agent writes, which `plugin` reads like any other.
//!
//! Knows no wasm: a file is bytes with a name and a digest. What was fetched once stays until something better is there whole.

mod artifact;
mod backoff;
mod config_maps;
mod parts;
mod registry;
mod shelf;

use std::{collections::BTreeMap, sync::Arc};

pub use artifact::artifacts;
pub use config_maps::config_maps;
pub use registry::{Registries, RegistryError};
pub use shelf::Shelf;

/// A plugin's file has at most this many bytes, as in `plugin`.
const FILE_MAX_BYTES: usize = 64 << 20;

/// Why plugins that should be there are not, by name.
pub type Missed = BTreeMap<String, String>;

/// What both ways say in the end: one message a plugin.
pub type MissedSender = tokio::sync::watch::Sender<Arc<Missed>>;

//! Where secrets are kept, and what may be known of them: a Secret of the cluster, encrypted files, and files that an operator
//! mounted.
//!
//! That one may be used or changed was decided before its name comes here. Nothing of what a credential holds is in a log, an
//! error or a `Debug`; keys, storages and types are no secrets.

mod carried;
mod credential;
mod failure;
mod files;
mod in_secret;
mod key_file;
mod lock;
mod mounted;
mod rekey;
mod sealed;
mod storage;
mod stores;
mod volume;

pub use credential::{Credential, Data, Entry, Mode, Put};
pub use in_secret::InSecret;
pub use key_file::KeyFile;
pub use mounted::Mounted;
pub use rekey::{Broken, Rekey, Rekeyed};
pub use storage::Storage;
pub use stores::{Listed, Silent, Stores};
pub use volume::Volume;

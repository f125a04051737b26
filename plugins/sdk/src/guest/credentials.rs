//! The host's interfaces `credentials`, `credentials-reveal` and `credentials-admin`.

use super::{
    bindings::claiflow::plugin::{credentials, credentials_admin as admin, credentials_reveal as reveals},
    error,
};
use crate::Error;

pub(crate) fn names() -> Vec<String> {
    credentials::names()
}

pub(crate) fn reveal(name: &str) -> Result<Vec<u8>, Error> {
    reveals::reveal(name).map_err(error)
}

pub(crate) fn entries() -> Result<String, Error> {
    admin::entries().map_err(error)
}

pub(crate) fn put(name: &str, spec: &str, data: &[u8]) -> Result<(), Error> {
    admin::put(name, spec, data).map_err(error)
}

pub(crate) fn remove(name: &str, storage: &str) -> Result<(), Error> {
    admin::remove(name, storage).map_err(error)
}

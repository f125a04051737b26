//! Who knows what a credential is. That one may be used was decided before its name comes here.

use std::fmt;

use super::{failure::Failure, secret::Secret};

/// A credential as a request carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The lower-case name of the header.
    pub header: String,
    /// Its value; of `authorization`, such as `Bearer …`, the scheme too.
    pub value: Secret,
}

/// What knows credentials by their names.
#[async_trait::async_trait]
pub trait Credentials: fmt::Debug + Send + Sync {
    /// How a request carries the credential; `header` is the one that its grant names.
    ///
    /// # Errors
    /// `denied` where it is not there or goes in another header, `unavailable` where nobody can tell or no header can carry it.
    async fn carried(&self, name: &str, header: Option<&str>) -> Result<Carried, Failure>;
}

/// Who knows none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere;

#[async_trait::async_trait]
impl Credentials for Nowhere {
    async fn carried(&self, name: &str, _header: Option<&str>) -> Result<Carried, Failure> {
        Err(Failure::new("denied", format!("the credential `{name}` is not there: nothing here keeps credentials")))
    }
}

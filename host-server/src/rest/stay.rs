//! Answers that go on for long: how many of them one caller holds, and that they end with the caller's rights.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::http::StatusCode;
use parking_lot::Mutex;

use super::problem::Problem;
use crate::{
    app::{
        App, Error,
        rights::{Named, Right},
    },
    model::people::Caller,
};

/// Of one caller at a time, on one replica.
const HELD_MAX: usize = 256;
/// How often is asked whether the caller still may: a revoked token reads for so long at most, and for as long as another replica's
/// change takes to be seen.
const LOOK: Duration = Duration::from_secs(5);

/// How many answers that go on each caller holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Stays(Arc<Mutex<HashMap<String, usize>>>);

/// What a request was let in by.
pub(super) struct Admission {
    pub(super) app: App,
    /// None where nobody has to say who they are.
    pub(super) bearer: Option<String>,
    pub(super) caller: Caller,
    pub(super) right: &'static Right,
    pub(super) named: Named,
}

/// One answer that goes on.
pub(super) struct Stay {
    stays: Stays,
    admission: Admission,
}

impl Stays {
    /// Begins an answer that goes on.
    ///
    /// # Errors
    /// The answer to a caller who holds too many.
    pub(super) fn begin(&self, admission: Admission) -> Result<Stay, Problem> {
        let mut all = self.0.lock();
        let held = all.entry(admission.caller.name.clone()).or_default();
        if *held >= HELD_MAX {
            let detail = format!("you follow {HELD_MAX} tasks already; end one of those, or ask for states by GET");
            return Err(Problem::of(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Slow down", detail).after(1));
        }
        *held += 1;
        drop(all);
        Ok(Stay { stays: self.clone(), admission })
    }
}

impl Admission {
    /// Whether the same bearer would be let in. A database that is away says nothing against it.
    async fn holds(&self) -> bool {
        let Some(bearer) = &self.bearer else { return true };
        let asked = async {
            let caller = self.app.caller_of(bearer).await?;
            self.app.let_pass(&caller, self.right, &self.named).await
        };
        !matches!(asked.await, Err(Error::Unauthenticated(_) | Error::Refused(_) | Error::NotFound(_)))
    }
}

impl Stay {
    /// Waits until the caller may not read on.
    pub(super) async fn ends(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if !self.admission.holds().await {
                return;
            }
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut all = self.stays.0.lock();
        if let Some(held) = all.get_mut(&self.admission.caller.name) {
            *held -= 1;
            if *held == 0 {
                all.remove(&self.admission.caller.name);
            }
        }
    }
}

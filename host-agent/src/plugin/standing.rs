//! What all parts of one call share, also those that go on beside the guest: who calls, until when, what it may still do,
//! and what it has done.

use std::{
    future::pending,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinError;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    caller::{Caller, NoWrites, Power},
    clock::Clock,
    meter::Meter,
};
use crate::{http, kubernetes};

/// Set once the call has ended: nothing more begins.
const CLOSED: u32 = 1 << 31;

pub(super) struct Standing {
    pub(super) caller: Caller,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
    /// Monotonic end of the smallest limit.
    pub(super) deadline: Duration,
    /// How long before the deadline `stop-requested` says so.
    pub(super) deadline_notice: Duration,
    /// Calls into capabilities; the always granted imports are held by CPU time instead.
    host_calls: AtomicU32,
    host_calls_max: u32,
    /// Writes that were sent and may have had their effect.
    effects: AtomicU32,
    pub(super) meter: Meter,
}

/// Why a host call is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    code: &'static str,
    message: String,
}

impl Refused {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Standing {
    pub(super) fn new(
        caller: Caller,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
        wall: Duration,
        host_calls_max: u32,
    ) -> Self {
        Self {
            deadline: clock.monotonic() + wall,
            deadline_notice: (wall / 10).min(Duration::from_secs(5)),
            meter: Meter::new(Arc::clone(&clock)),
            caller,
            clock,
            stop,
            host_calls: AtomicU32::new(0),
            host_calls_max,
            effects: AtomicU32::new(0),
        }
    }

    /// Does work in a task of its own, which ends with the answer's future. What comes in many pieces wakes that task then,
    /// where it would else enter the guest's fiber with each of them.
    pub(super) async fn beside<T: Send + 'static>(
        self: Arc<Self>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let task = AbortOnDropHandle::new(tokio::spawn(async move { self.meter.beside(work).await }));
        match task.await.map_err(JoinError::try_into_panic) {
            Ok(output) => output,
            Err(Ok(panic)) => resume_unwind(panic),
            // Only the end of the whole runtime cancels it, and nothing is polled after that.
            Err(Err(_)) => pending().await,
        }
    }

    pub(super) fn remaining(&self) -> Duration {
        self.deadline.saturating_sub(self.clock.monotonic())
    }

    /// What a request may take: a little less than the call, which then still has time to say what happened.
    pub(super) fn time_left(&self) -> Duration {
        let left = self.remaining();
        left.checked_sub(self.deadline_notice).filter(|rest| !rest.is_zero()).unwrap_or(left)
    }

    /// Why the call should come to its end, where it should; as `task.stop-requested` says it.
    pub(super) fn stopping(&self) -> Option<&'static str> {
        if self.stop.is_cancelled() {
            Some("stopped")
        } else if self.remaining() <= self.deadline_notice {
            Some("deadline")
        } else {
            None
        }
    }

    /// Counts one host call.
    ///
    /// # Errors
    /// `denied` in `describe`, `budget` when there were as many as may be.
    pub(super) fn count(&self) -> Result<(), Refused> {
        if self.caller.power == Power::Nothing {
            return Err(Refused::new("denied", "no host call is made while the plugin describes itself"));
        }
        let most = self.host_calls_max;
        let more = |calls: u32| (calls < most).then(|| calls + 1);
        match self.host_calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(Refused::new(
                "budget",
                format!(
                    "the call used its budget of {most} host calls; `limits: {{host_calls: …}}` in the grants file raises it"
                ),
            )),
        }
    }

    pub(super) fn host_calls(&self) -> u32 {
        self.host_calls.load(Ordering::Relaxed)
    }

    /// Whether the call may leave something behind now. A dry run does not, and yet `verify` makes none.
    ///
    /// # Errors
    /// `denied` or `stopped`.
    pub(super) fn may_write(&self, dry_run: bool) -> Result<(), Refused> {
        match self.caller.power {
            Power::Write => {}
            Power::Read(NoWrites::DeclaredRead) if dry_run => {}
            Power::Read(why) => return Err(Refused::new("denied", why.to_string())),
            Power::Nothing => return Err(Refused::new("denied", "the plugin describes itself")),
        }
        match self.stopping() {
            None => Ok(()),
            Some(why) => {
                let message = format!("nothing is written any more: `task.stop-requested` says `{why}`");
                Err(Refused::new("stopped", message))
            }
        }
    }

    /// To be called before a write is sent: from then on an ending without a result may have had its effect.
    ///
    /// # Errors
    /// `stopped` where the call has ended: what it was has been told, and nothing may be added.
    pub(super) fn begin_effect(&self) -> Result<(), Refused> {
        let begun = |effects: u32| (effects & CLOSED == 0).then(|| effects.saturating_add(1));
        match self.effects.fetch_update(Ordering::SeqCst, Ordering::SeqCst, begun) {
            Ok(_) => Ok(()),
            Err(_) => Err(Refused::new("stopped", "the call has ended")),
        }
    }

    /// A write that was begun did certainly nothing.
    pub(super) fn undo_effect(&self) {
        let undone = |effects: u32| (effects & !CLOSED > 0).then(|| effects - 1);
        // One that was never begun leaves nothing to undo.
        let _ = self.effects.fetch_update(Ordering::SeqCst, Ordering::SeqCst, undone);
    }

    /// Ends it, and answers whether it may have had an effect.
    pub(super) fn close(&self) -> bool {
        self.effects.fetch_or(CLOSED, Ordering::SeqCst) & !CLOSED > 0
    }
}

impl From<Refused> for kubernetes::Failure {
    fn from(Refused { code, message }: Refused) -> Self {
        Self::new(code, message)
    }
}

impl From<Refused> for http::Failure {
    fn from(Refused { code, message }: Refused) -> Self {
        Self::new(code, message)
    }
}

#[cfg(test)]
mod tests {
    use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

    use futures_util::FutureExt as _;
    use tokio_util::sync::CancellationToken;

    use super::Standing;
    use crate::{
        grants::kubernetes::Own,
        metrics::HostCalls,
        plugin::{
            authority::Authority,
            caller::{Caller, Power, Surroundings},
            clock::SystemClock,
            own_agent::OwnAgent,
        },
    };

    fn standing(power: Power, stop: CancellationToken) -> Standing {
        let surroundings = Surroundings {
            authority: Authority::new(Own::default()),
            cluster: None,
            http: Arc::default(),
            credentials: Arc::default(),
            processes: None,
            host_calls: HostCalls::default(),
            agent: OwnAgent::default(),
        };
        let (plugin, task, surroundings) = ("tool".into(), String::new(), Arc::new(surroundings));
        let caller = Caller { plugin, digest: [0; 32], power, task, surroundings };
        Standing::new(caller, Arc::new(SystemClock::new()), stop, Duration::from_secs(60), 2)
    }

    #[test]
    fn what_has_ended_begins_nothing_and_what_was_told_stays_true() {
        let call = standing(Power::Write, CancellationToken::new());
        call.begin_effect().unwrap();
        call.begin_effect().unwrap();
        call.undo_effect();
        assert!(call.close());
        assert!(call.begin_effect().is_err_and(|refused| refused.code == "stopped"));

        let call = standing(Power::Write, CancellationToken::new());
        call.begin_effect().unwrap();
        call.undo_effect();
        call.undo_effect();
        assert!(!call.close());
        assert!(call.begin_effect().is_err());
        assert!(!call.close());
    }

    #[test]
    fn host_calls_are_counted_up_to_their_budget() {
        let call = standing(Power::Write, CancellationToken::new());
        assert!(call.count().is_ok() && call.count().is_ok());
        assert!(call.count().is_err_and(|refused| refused.code == "budget"));
        assert_eq!(call.host_calls(), 2);
        let describes = standing(Power::Nothing, CancellationToken::new());
        assert!(describes.count().is_err_and(|refused| refused.code == "denied"));
        assert!(describes.may_write(true).is_err());
    }

    #[test]
    fn who_was_asked_to_stop_writes_nothing_more() {
        let stop = CancellationToken::new();
        let call = standing(Power::Write, stop.clone());
        assert!(call.may_write(false).is_ok());
        stop.cancel();
        assert!(call.may_write(false).is_err_and(|refused| refused.code == "stopped"));
    }

    #[tokio::test]
    async fn what_goes_on_beside_ends_with_whoever_waits_for_it() {
        let call = Arc::new(standing(Power::Write, CancellationToken::new()));
        assert_eq!(Arc::clone(&call).beside(async { 7 }).await, 7);

        let (held, ended) = tokio::sync::oneshot::channel::<()>();
        let beside = Box::pin(Arc::clone(&call).beside(async move {
            let _held = held;
            std::future::pending::<()>().await;
        }));
        assert!(beside.now_or_never().is_none());
        assert!(ended.await.is_err(), "the task was ended, and let go of what it held");
    }

    #[tokio::test]
    async fn a_fault_beside_the_guest_is_one_of_the_call() {
        let call = Arc::new(standing(Power::Write, CancellationToken::new()));
        let fault = AssertUnwindSafe(call.beside(async { panic!("a fault") })).catch_unwind().await;
        assert_eq!(fault.unwrap_err().downcast_ref::<&str>(), Some(&"a fault"));
    }
}

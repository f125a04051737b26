//! Agents of the first version: they open a session, poll for tasks and report their steps.
//!
//! What they hold is signed with a time at which it expires: from then on no call may wait under it. The session itself
//! lives as long as it waits or its tasks may run, so that a report which is never repeated is not refused for its age.

use std::{sync::Arc, time::Duration};

use claiflow_flow::read_json;
use jsonwebtoken::{Algorithm, Validation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{App, Error, access::no_session};
use crate::{
    dispatch::{End, Poll},
    model::{
        duration,
        former::{Meaning, Said},
        ids::{Id, lookup, unhex},
        nouns::Session,
        state::State,
        step::{NEVER, STARTED, StepRow},
        task::{Lease, Task},
    },
};

/// Tasks of one answer.
const LIMIT_MAX: i64 = 100;

/// The names are part of the protocol.
#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(rename = "cluster-uuid")]
    cluster: String,
    #[serde(rename = "cluster-client-token-uuid")]
    token: String,
    uuid: String,
    iat: i64,
    exp: i64,
    #[serde(rename = "client-version")]
    version: String,
    #[serde(rename = "client_lib_version")]
    library: String,
}

/// A session that was opened.
pub struct Opened {
    /// A signed session. Never logged.
    pub token: String,
    /// How long calls may wait under it.
    pub life: Duration,
}

/// What an agent says when it opens a session.
pub struct Entry<'a> {
    /// Its cluster.
    pub cluster_uuid: &'a str,
    /// The cluster token. Never logged.
    pub token: &'a str,
    /// For people.
    pub version: &'a str,
    /// Its library's version, for people.
    pub library: &'a str,
}

/// Who calls.
#[derive(Debug)]
pub struct Caller {
    session: Session,
    journal: Id,
    cluster: i64,
    life: Duration,
    /// A call may wait.
    fresh: bool,
}

/// What an agent says of a step.
#[derive(Debug, Default)]
pub struct Report {
    /// The task.
    pub uuid: String,
    /// The top-level step, counted from 0.
    pub sequence: i32,
    /// 2, 4 or 8.
    pub status: i32,
    /// The task's result.
    pub result: String,
    /// What went wrong.
    pub error: String,
    /// A time of the step's end was given. By whose clock does not matter: the server's own is kept.
    pub ended: bool,
}

/// Why a call does not wait any longer.
pub enum Waited {
    /// There are tasks.
    Tasks(Vec<Given>),
    /// The server stops.
    Stopped,
}

/// A task that an agent was given.
pub struct Given {
    /// The cluster's uuid.
    pub cluster_uuid: String,
    /// The task.
    pub task: Task,
}

impl App {
    /// Exchanges a cluster token for a signed session.
    ///
    /// # Errors
    /// As [`App::authenticate`].
    pub async fn open_former(&self, entry: Entry<'_>) -> Result<Opened, Error> {
        let life = self.read_variables().await?.session_life;
        let life_us = duration::micros(life);
        let session = self.admit(entry.cluster_uuid, entry.token, entry.version, life_us).await?;
        let library: String = entry.library.chars().take(64).collect();
        self.store.insert_former_session(&session, &library).await?;
        let issued_s = session.issued_at / 1_000_000;
        let token = self.sign(&Claims {
            iat: issued_s,
            // A life of less than a second is one of a second.
            exp: issued_s.saturating_add(life_us.saturating_add(999_999) / 1_000_000),
            cluster: session.cluster_uuid,
            token: session.token_uuid,
            uuid: session.uuid,
            version: session.agent_version,
            library,
        })?;
        Ok(Opened { token, life })
    }

    /// Who holds a signed session.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Unavailable`].
    pub async fn former(&self, bearer: &str) -> Result<Caller, Error> {
        // Whether it has expired is asked below, of the clock that is passed in.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        let claims: Claims = self.signed(bearer, &validation).await?;
        let session = self.store.session(&claims.uuid).await?.ok_or_else(no_session)?;
        let cluster = self.cluster(&claims.cluster).await.map_err(|error| error.or_if_missing(no_session))?;
        let now = self.source.now_us();
        let fresh = claims.exp.saturating_mul(1_000_000) > now;
        if !fresh && session.expires_at <= now {
            return Err(no_session());
        }
        let life = Duration::from_secs(claims.exp.abs_diff(claims.iat));
        let journal = unhex(&session.uuid).ok_or_else(no_session)?;
        Ok(Caller { session, journal, cluster: cluster.id, life, fresh })
    }

    /// Waits until there are tasks; at most `limit` are given.
    ///
    /// # Errors
    /// [`Error::Refused`] when the session has expired or ends while the call waits, [`Error::Unavailable`].
    pub async fn poll(&self, caller: &Caller, limit: i64) -> Result<Waited, Error> {
        if !caller.fresh {
            return Err(no_session());
        }
        let poll = Poll {
            cluster: caller.cluster,
            session: caller.session.uuid.clone(),
            journal: caller.journal,
            limit: usize::try_from(limit.clamp(1, LIMIT_MAX)).unwrap_or(1),
            life: caller.life,
        };
        let Some(taken) = self.dispatch.poll(poll).await? else {
            return match self.store.session(&caller.session.uuid).await? {
                Some(_) => Ok(Waited::Stopped),
                None => Err(no_session()),
            };
        };
        // As long as the tasks may run, their reports are taken.
        let now = self.source.now_us();
        let until = self.store.last_deadline(caller.journal).await?.unwrap_or_default();
        let until = until.max(now.saturating_add(duration::micros(caller.life)));
        self.store.prolong_sessions(std::slice::from_ref(&caller.session.uuid), until, now).await?;
        let given = |lease: Arc<Lease>| Given {
            cluster_uuid: caller.session.cluster_uuid.clone(),
            task: Task::clone(&lease.task),
        };
        Ok(Waited::Tasks(taken.sent().into_iter().map(given).collect()))
    }

    /// Keeps what an agent says of a step, and ends the task where this was its end. A task that has ended stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a task that no such agent of the cluster holds, [`Error::Malformed`].
    pub async fn report(&self, caller: &Caller, report: Report) -> Result<(), Error> {
        let missing =
            || Error::NotFound(format!("no agent of this cluster holds a task `{}`", report.uuid.escape_debug()));
        let uuid = lookup(&report.uuid);
        let alias = self.store.alias(caller.cluster, &uuid).await?.and_then(|(id, _)| Id::try_from(id).ok());
        let id = alias.or_else(|| unhex(&uuid)).ok_or_else(missing)?;
        if let Some(held) = self.dispatch.former_lease(caller.cluster, &id).await? {
            let said = Said { sequence: report.sequence, status: report.status, ended: report.ended };
            let meaning = said.of(held.0.task.snapshot.step_max).map_err(Error::Malformed)?;
            let step = step_of(&report, meaning, self.source.now_us());
            let end = meaning.end.map(|state| end_of(&report, state));
            if self.dispatch.tell(&caller.session.uuid, &held, step, end).await? {
                return Ok(());
            }
        }
        match self.store.task(caller.cluster, &id).await? {
            Some(view) if State::of(view.state).is_final() => Ok(()),
            Some(_) => {
                self.dispatch.stale();
                Err(missing())
            }
            None => Err(missing()),
        }
    }
}

fn step_of(report: &Report, meaning: Meaning, now: i64) -> StepRow {
    StepRow {
        path: report.sequence.to_string(),
        attempt: 1,
        top: report.sequence,
        state: meaning.step,
        effect: NEVER,
        started: now,
        ended: (meaning.step != STARTED).then_some(now),
        output: None,
        used: None,
    }
}

fn end_of(report: &Report, state: State) -> End {
    let succeeded = state == State::Succeeded;
    let error = (!succeeded && !report.error.is_empty()).then(|| report.error.clone());
    End { state, result: succeeded.then(|| result_of(&report.result)), error }
}

/// A result is JSON; a text that is none becomes a JSON string.
fn result_of(text: &str) -> String {
    if read_json(text).is_ok() { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::result_of;

    #[test]
    fn a_result_is_json_whatever_the_agent_sends() {
        for (sent, kept) in [
            ("\"hello world\"", "\"hello world\""),
            ("[1,4,9]", "[1,4,9]"),
            ("{\"a\": 1.0}", "{\"a\": 1.0}"),
            ("", "\"\""),
            ("hello \"world\"", "\"hello \\\"world\\\"\""),
            ("{broken", "\"{broken\""),
        ] {
            assert_eq!(result_of(sent), kept, "{sent}");
        }
    }
}

//! Which replica does the work that is done once. Whoever does not hear of its lead in time stops by itself.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{app::App, model::replica::Term};

/// How long a lead lasts without a word, by the database's clock and by ours.
const TTL: Duration = Duration::from_secs(15);
const ROUND: Duration = Duration::from_secs(5);

/// Stands for the lead in a kind of work until `stop`, and does the work while this replica has it.
pub(super) async fn lead<F: Future<Output = ()>>(
    app: &App,
    work: &'static str,
    stop: &CancellationToken,
    does: impl Fn(Term) -> F,
) {
    let (terms, seen) = watch::channel(None);
    tokio::join!(stand(app, work, terms, stop), while_leading(seen, stop, does));
}

async fn stand(app: &App, work: &'static str, terms: watch::Sender<Option<Term>>, stop: &CancellationToken) {
    let mut valid_until = Instant::now();
    loop {
        let asked = Instant::now();
        let held = terms.borrow().clone();
        // While it leads, the answer must come before the lead is over.
        let limit = if held.is_some() { valid_until } else { asked + TTL };
        let answer = tokio::select! {
            () = stop.cancelled() => break,
            answer = timeout_at(limit, ask(app, work, held.clone())) => answer,
        };
        let term = match answer {
            Ok(Ok(term)) => {
                valid_until = asked + TTL;
                term
            }
            Ok(Err(error)) => {
                tracing::warn!(
                    leader.work = work,
                    error = &error as &dyn std::error::Error,
                    "who leads could not be asked"
                );
                held.filter(|_| Instant::now() < valid_until)
            }
            Err(_) => None,
        };
        note(app, work, &terms, term);
        let next = asked + ROUND;
        let next = if terms.borrow().is_some() { next.min(valid_until) } else { next };
        tokio::select! { () = stop.cancelled() => break, () = sleep_until(next) => {} }
    }
    if let Some(term) = terms.send_replace(None) {
        match app.store.resign(&term).await {
            Ok(_) => {}
            Err(error) => tracing::debug!(
                leader.work = work,
                error = &error as &dyn std::error::Error,
                "the lead was not given back and will end by itself"
            ),
        }
    }
}

async fn ask(app: &App, work: &str, held: Option<Term>) -> Result<Option<Term>, crate::storage::Error> {
    let ttl_us = i64::try_from(TTL.as_micros()).unwrap_or(i64::MAX);
    if let Some(term) = held
        && app.store.renew(&term, ttl_us).await?
    {
        return Ok(Some(term));
    }
    app.store.lead(work, app.replica_id(), ttl_us).await
}

fn note(app: &App, work: &str, terms: &watch::Sender<Option<Term>>, term: Option<Term>) {
    let metrics = app.metrics();
    metrics.leads.with_label_values(&[work]).set(i64::from(term.is_some()));
    if let Some(term) = &term {
        metrics.leader_epoch.with_label_values(&[work]).set(term.epoch);
    }
    terms.send_if_modified(|known| {
        let changed = *known != term;
        if changed {
            match &term {
                Some(term) => tracing::info!(leader.work = work, leader.epoch = term.epoch, "this replica leads"),
                None => tracing::info!(leader.work = work, "this replica does not lead any more"),
            }
        }
        *known = term;
        changed
    });
}

/// Does `work` while this replica leads, and drops it at once when it does not.
async fn while_leading<F: Future<Output = ()>>(
    mut terms: watch::Receiver<Option<Term>>,
    stop: &CancellationToken,
    work: impl Fn(Term) -> F,
) {
    loop {
        let term = tokio::select! {
            () = stop.cancelled() => return,
            term = terms.wait_for(Option::is_some) => match term {
                Ok(term) => term.clone(),
                Err(_) => return,
            },
        };
        let Some(term) = term else { continue };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = terms.wait_for(|other| other.as_ref() != Some(&term)) => if changed.is_err() { return },
            () = work(term.clone()) => {}
        }
    }
}

//! Who sends what: each delivery is held by one replica at a time, and a task's are sent in their order.

use sqlx::Row as _;

use super::{
    Db, Error, Store, both,
    webhook::{DELIVERY, WEBHOOK},
};
use crate::model::{
    ids::Id,
    webhook::{Delivery, DeliveryState, Webhook},
};

/// A delivery that has failed for longer holds back no later one of its task, microseconds. What is held back is due when that is
/// over, or with the next attempt of what holds it: a claim looks at all that is due, and would meet it each time.
const OVERTAKEN_US: i64 = 300_000_000;
/// Deliveries that are sent to one webhook at once, by all replicas together.
pub const IN_FLIGHT: i64 = 16;

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Of the delivery.
    pub id: i64,
    /// Who held it.
    pub holder: Id,
    /// The receiver's answer, where there was one.
    pub code: Option<u16>,
    /// One sentence, where it failed.
    pub error: Option<String>,
    /// An earlier attempt failed, so later deliveries of the task were put off.
    pub is_retry: bool,
}

impl Store {
    /// The webhooks for which something is due.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn due_webhooks(&self) -> Result<Vec<String>, Error> {
        let now = self.db.now();
        let sql = format!(
            "SELECT w.uuid FROM webhook w WHERE EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.webhook = w.uuid AND d.state = 0 AND d.due <= {now})"
        );
        both!(&self.db, pool => Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await?))
    }

    /// Takes deliveries that are due, the oldest first, `limit` at most and no more than may be in flight; they are `holder`'s until
    /// they are settled, or for the time that `hold_us` says for the webhook. A later one of a task waits for the earlier ones. None:
    /// there is no such webhook.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing is taken then.
    pub async fn hold_deliveries(
        &self,
        webhook: &str,
        holder: Id,
        limit: i64,
        hold_us: impl Fn(&Webhook) -> i64 + Send,
    ) -> Result<Option<(Webhook, Vec<Delivery>)>, Error> {
        let (begin, lock, _) = self.begin();
        let now = self.db.now();
        let counted =
            format!("SELECT COUNT(*) FROM webhook_delivery WHERE webhook = ? AND state = 0 AND held_until > {now}");
        let free = format!(
            "SELECT d.id FROM webhook_delivery d WHERE d.webhook = ? AND d.state = 0 AND d.due <= {now} AND (d.held_until IS NULL OR d.held_until <= {now}) \
             AND NOT EXISTS (SELECT 1 FROM webhook_delivery e WHERE e.task = d.task AND e.cluster = d.cluster AND e.seq < d.seq AND e.state = 0 \
             AND (e.first_failed IS NULL OR e.first_failed > {now} - {OVERTAKEN_US})) ORDER BY d.due, d.id LIMIT ?"
        );
        let dead = format!(
            "UPDATE webhook_delivery SET state = ?, error = ?, ended = {now}, holder = NULL, held_until = NULL WHERE id = ?"
        );
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            // Replicas take turns here, so that together they count right.
            let sql = format!("{WEBHOOK} WHERE uuid = ?{lock}");
            let found: Option<Webhook> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(webhook).fetch_optional(&mut *tx).await?;
            let Some(found) = found.map(|webhook| self.open_webhook(webhook)).transpose()? else { return Ok(None) };
            let held: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(counted)).bind(webhook).fetch_one(&mut *tx).await?;
            let room = limit.min(IN_FLIGHT - held);
            if room <= 0 {
                return Ok(Some((found, vec![])));
            }
            let rows = sqlx::query(sqlx::AssertSqlSafe(free)).bind(webhook).bind(room).fetch_all(&mut *tx).await?;
            if rows.is_empty() {
                return Ok(Some((found, vec![])));
            }
            let ids = rows.iter().map(|row| row.try_get::<i64, _>(0)).collect::<Result<Vec<_>, _>>()?;
            let mut query = sqlx::QueryBuilder::new("UPDATE webhook_delivery SET holder = ");
            query.push_bind(holder.to_vec()).push(", held_until = ").push(now).push(" + ").push_bind(hold_us(&found)).push(" WHERE id IN (");
            let mut list = query.separated(", ");
            for id in super::pieces::padded(ids.iter().copied()) {
                list.push_bind(id);
            }
            query.push(")");
            query.build().execute(&mut *tx).await?;
            let mut query = sqlx::QueryBuilder::new(DELIVERY);
            query.push(" WHERE d.id IN (");
            let mut list = query.separated(", ");
            for id in super::pieces::padded(ids.iter().copied()) {
                list.push_bind(id);
            }
            query.push(") ORDER BY d.due, d.id");
            let deliveries = query.build_query_as::<Delivery>().fetch_all(&mut *tx).await?;
            let mut opened = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                let id = delivery.id;
                match self.open_delivery(delivery) {
                    Ok(delivery) => opened.push(delivery),
                    Err(error) if error.lacks_key() => return Err(error),
                    Err(error) => {
                        // It would be met again and again, before what can be sent.
                        sqlx::query(sqlx::AssertSqlSafe(dead.as_str())).bind(DeliveryState::Dead as i16).bind(super::cut(&error.to_string()).to_owned())
                            .bind(id).execute(&mut *tx).await?;
                    }
                }
            }
            tx.commit().await?;
            Ok(Some((found, opened)))
        })
    }

    /// The delivery has ended, unless somebody else holds it by now.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn settle_delivery(&self, attempt: &Attempt, state: DeliveryState) -> Result<(), Error> {
        let now = self.db.now();
        let sql = format!(
            "UPDATE webhook_delivery SET state = ?, attempts = attempts + 1, code = ?, error = ?, tried = {now}, ended = {now}, holder = NULL, held_until = NULL WHERE id = ? AND holder = ? AND state = 0"
        );
        let follow = self.put_later(now);
        let Attempt { id, holder, code, error, is_retry } = attempt;
        both!(&self.db, pool => {
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(state as i16).bind(code.and_then(|code| i16::try_from(code).ok()))
                .bind(error.as_deref().map(super::cut)).bind(id).bind(holder.to_vec()).execute(pool).await?;
            // Without it they would only come later, so that what is settled as a rule needs no transaction.
            if *is_retry {
                sqlx::query(sqlx::AssertSqlSafe(follow)).bind(id).execute(pool).await?;
            }
            Ok(())
        })?;
        self.told.notify_one();
        Ok(())
    }

    /// The attempt failed; the next one comes after `pause_us`, unless somebody else holds it by now.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn postpone_delivery(&self, attempt: &Attempt, pause_us: i64) -> Result<(), Error> {
        let now = self.db.now();
        let sql = format!(
            "UPDATE webhook_delivery SET attempts = attempts + 1, code = ?, error = ?, tried = {now}, due = {now} + ?, first_failed = COALESCE(first_failed, {now}), holder = NULL, held_until = NULL \
             WHERE id = ? AND holder = ? AND state = 0"
        );
        let least = if let Db::Maria(_) = &self.db { "LEAST" } else { "MIN" };
        let follow = self.put_later(&format!("{least}(h.due, h.first_failed + {OVERTAKEN_US})"));
        let Attempt { id, holder, code, error, .. } = attempt;
        let (begin, ..) = self.begin();
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            let postponed = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(code.and_then(|code| i16::try_from(code).ok()))
                .bind(error.as_deref().map(super::cut)).bind(pause_us).bind(id).bind(holder.to_vec()).execute(&mut *tx).await?.rows_affected();
            if postponed > 0 {
                sqlx::query(sqlx::AssertSqlSafe(follow)).bind(id).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            Ok(())
        })
    }

    /// Sets when the later deliveries of one's task are due, those that have an outcome of their own aside; `h` is that one.
    fn put_later(&self, due: &str) -> String {
        let which =
            "d.task = h.task AND d.cluster = h.cluster AND d.seq > h.seq AND d.state = 0 AND d.first_failed IS NULL";
        match &self.db {
            Db::Maria(_) => {
                format!("UPDATE webhook_delivery h JOIN webhook_delivery d ON {which} SET d.due = {due} WHERE h.id = ?")
            }
            Db::Sqlite(_) => {
                format!(
                    "UPDATE webhook_delivery AS d SET due = {due} FROM webhook_delivery h WHERE {which} AND h.id = ?"
                )
            }
        }
    }

    /// Gives back what a holder has not settled, so that nobody waits for it.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn release_deliveries(&self, holder: Id, ids: &[i64]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        both!(&self.db, pool => {
            let mut query = sqlx::QueryBuilder::new("UPDATE webhook_delivery SET holder = NULL, held_until = NULL WHERE state = 0 AND holder = ");
            query.push_bind(holder.to_vec()).push(" AND id IN (");
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(*id);
            }
            query.push(")");
            query.build().execute(pool).await?;
            Ok(())
        })
    }
}

//! Webhooks, and the log of what was sent to them.

use super::{
    Db, Error, Store, both,
    nouns::{one, page, run},
};
use crate::model::{
    ids::Id,
    list::Listing,
    webhook::{Delivery, DeliveryListing, DeliveryState, Webhook},
};

pub(super) const WEBHOOK: &str = "SELECT id, uuid, name, summary, url, method, headers, timeout, condition_validator, condition_filter, secrets, created, updated FROM webhook";
pub(super) const DELIVERY: &str = "SELECT d.id, d.webhook, d.task, d.cluster, c.uuid AS cluster_uuid, d.service_uuid, d.seq, d.status, d.step, d.step_status, d.step_started, d.step_ended, d.journal, d.body, d.state, d.attempts, d.due, d.code, d.error, d.created, d.tried, d.ended \
     FROM webhook_delivery d LEFT JOIN cluster c ON c.id = d.cluster";

/// Rows that one statement removes.
const ROUND: i64 = 1_000;

#[allow(missing_docs, clippy::missing_errors_doc, reason = "each is one statement, named after it")]
impl Store {
    pub async fn webhook(&self, uuid: &str) -> Result<Option<Webhook>, Error> {
        let found: Result<_, Error> = one!(self, WEBHOOK, Webhook, "WHERE uuid = ?", uuid);
        found?.map(|webhook| self.open_webhook(webhook)).transpose()
    }

    pub async fn webhooks(&self, listing: &Listing<i64>) -> Result<Vec<Webhook>, Error> {
        let listing = &Listing { filter: self.on_sealed(&listing.filter)?, ..listing.clone() };
        let found: Result<Vec<Webhook>, Error> = page!(self, WEBHOOK, Webhook, "1 = 1", "id", listing);
        found?.into_iter().map(|webhook| self.open_webhook(webhook)).collect()
    }

    pub async fn insert_webhook(&self, webhook: &Webhook) -> Result<u64, Error> {
        let Webhook { uuid, name, summary, url, method, timeout, created, updated, .. } = webhook;
        let Webhook { condition_validator, condition_filter, .. } = webhook;
        let (headers, secrets) = &self.seal_webhook(webhook)?;
        run!(
            self,
            "INSERT INTO webhook (uuid, name, summary, url, method, headers, timeout, condition_validator, condition_filter, secrets, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            uuid,
            name,
            summary,
            url,
            method,
            headers,
            timeout,
            condition_validator,
            condition_filter,
            secrets,
            created,
            updated
        )
    }

    pub async fn update_webhook(&self, webhook: &Webhook) -> Result<u64, Error> {
        let Webhook { uuid, name, summary, url, method, timeout, updated, .. } = webhook;
        let Webhook { condition_validator, condition_filter, .. } = webhook;
        let (headers, secrets) = &self.seal_webhook(webhook)?;
        run!(
            self,
            "UPDATE webhook SET name = ?, summary = ?, url = ?, method = ?, headers = ?, timeout = ?, condition_validator = ?, condition_filter = ?, secrets = ?, updated = ?, revision = revision + 1 WHERE uuid = ?",
            name,
            summary,
            url,
            method,
            headers,
            timeout,
            condition_validator,
            condition_filter,
            secrets,
            updated,
            uuid
        )
    }

    /// Also removes what was to be sent to it, and its log.
    pub async fn delete_webhook(&self, uuid: &str) -> Result<(), Error> {
        let gone: Result<u64, Error> = run!(self, "DELETE FROM webhook WHERE uuid = ?", uuid);
        gone?;
        // MariaDB reads the whole table for a subquery with a limit, and SQLite knows no limit here.
        let sql = match &self.db {
            Db::Maria(_) => "DELETE FROM webhook_delivery WHERE webhook = ? LIMIT ?",
            Db::Sqlite(_) => {
                "DELETE FROM webhook_delivery WHERE id IN (SELECT id FROM webhook_delivery WHERE webhook = ? LIMIT ?)"
            }
        };
        loop {
            let gone: Result<u64, Error> = both!(&self.db, pool => Ok(sqlx::query(sql).bind(uuid).bind(ROUND)
                .execute(pool).await?.rows_affected()));
            if gone? == 0 {
                return Ok(());
            }
        }
    }

    /// A document of nobody's task, to be sent at once.
    pub async fn publish(&self, webhook: &str, id: Id, body: &str) -> Result<(), Error> {
        let (now, body) = (self.db.now(), self.seal_body(&id, body)?);
        let sql = format!(
            "INSERT INTO webhook_delivery (webhook, task, cluster, seq, status, step, step_status, body, due, created) VALUES (?, ?, 0, 1, 0, 0, 0, ?, {now}, {now})"
        );
        both!(&self.db, pool => {
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(webhook).bind(id.to_vec()).bind(body).execute(pool).await?;
            Ok(())
        })?;
        self.told.notify_one();
        Ok(())
    }

    pub async fn deliveries(&self, webhook: &str, listing: &DeliveryListing) -> Result<Vec<Delivery>, Error> {
        both!(&self.db, pool => {
            let mut query = sqlx::QueryBuilder::new(DELIVERY);
            query.push(" WHERE d.webhook = ").push_bind(webhook.to_owned());
            if let Some(state) = listing.state {
                query.push(" AND d.state = ").push_bind(state as i16);
            }
            if let Some(uuid) = &listing.service_uuid {
                query.push(" AND d.service_uuid = ").push_bind(uuid.clone());
            }
            let (beyond, order) = if listing.oldest_first { (" > ", "") } else { (" < ", " DESC") };
            if let Some(after) = listing.after {
                query.push(" AND d.id").push(beyond).push_bind(after);
            }
            query.push(" ORDER BY d.id").push(order).push(" LIMIT ").push_bind(listing.limit);
            let found = query.build_query_as::<Delivery>().fetch_all(pool).await?;
            found.into_iter().map(|delivery| self.open_delivery(delivery)).collect()
        })
    }

    pub async fn delivery(&self, webhook: &str, id: i64) -> Result<Option<Delivery>, Error> {
        let found: Result<_, Error> = one!(self, DELIVERY, Delivery, "WHERE d.id = ? AND d.webhook = ?", id, webhook);
        found?.map(|delivery| self.open_delivery(delivery)).transpose()
    }

    /// Sends it again from the first attempt on, under the same id. One that is being sent stays as it is.
    pub async fn replay(&self, webhook: &str, id: i64) -> Result<(), Error> {
        let now = self.db.now();
        let sql = format!(
            "UPDATE webhook_delivery SET state = 0, attempts = 0, due = {now}, first_failed = NULL, holder = NULL, held_until = NULL, ended = NULL \
             WHERE id = ? AND webhook = ? AND (state <> 0 OR held_until IS NULL OR held_until <= {now})"
        );
        both!(&self.db, pool => {
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(webhook).execute(pool).await?;
            Ok(())
        })?;
        self.told.notify_one();
        Ok(())
    }

    /// How many deliveries are in each of these states.
    pub async fn delivery_count(&self, state: DeliveryState) -> Result<i64, Error> {
        both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT COUNT(*) FROM webhook_delivery WHERE state = ?")
            .bind(state as i16).fetch_one(pool).await?))
    }

    /// Removes up to a thousand deliveries that ended in a state longer ago than this; those of tasks that live stay, since what was
    /// told is read from them. How many went.
    pub async fn purge_deliveries(&self, state: DeliveryState, older_us: i64) -> Result<u64, Error> {
        let now = self.db.now();
        let over = format!(
            "webhook_delivery WHERE state = ? AND ended < {now} - ? \
             AND NOT EXISTS (SELECT 1 FROM task t WHERE t.id = webhook_delivery.task AND t.cluster = webhook_delivery.cluster) ORDER BY ended LIMIT ?"
        );
        let sql = match &self.db {
            Db::Maria(_) => format!("DELETE FROM {over}"),
            Db::Sqlite(_) => format!("DELETE FROM webhook_delivery WHERE id IN (SELECT id FROM {over})"),
        };
        both!(&self.db, pool => Ok(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(state as i16).bind(older_us).bind(ROUND)
            .execute(pool).await?.rows_affected()))
    }

    /// Removes up to a thousand deliveries whose webhook is gone: a status was told while it was deleted. How many went.
    pub async fn purge_orphaned_deliveries(&self) -> Result<u64, Error> {
        run!(
            self,
            "DELETE FROM webhook_delivery WHERE id IN (SELECT id FROM (SELECT d.id FROM webhook_delivery d WHERE d.state = 0 AND NOT EXISTS (SELECT 1 FROM webhook w WHERE w.uuid = d.webhook) LIMIT ?) AS some)",
            ROUND
        )
    }
}

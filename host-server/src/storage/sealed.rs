//! Which columns are sealed, and where their values are bound. Every write of such a column seals, and every read opens, here.

use std::sync::Arc;

use super::{Db, Error, Store, both};
use crate::{
    enigma::{self, Enigma, Place, Row, row, task_row},
    model::{
        log::LogRow,
        nouns::Token,
        step::StepRow,
        task::{Task, View},
        variables::SECRET,
        webhook::{Delivery, Webhook},
    },
};

impl From<enigma::Error> for Error {
    fn from(error: enigma::Error) -> Self {
        Self::Sealed(error)
    }
}

/// A task's columns; `error` is `task.reason` too.
pub(super) const INPUTS: &str = "inputs";
pub(super) const RESULT: &str = "result";
pub(super) const ERROR: &str = "error";
pub(super) const TIMELINE: &str = "timeline";

/// A step's row.
pub(super) fn step_row(task: &[u8], cluster: i64, path: &str, attempt: i32) -> Row {
    Row::default().and(task).number(cluster).and(path).number(i64::from(attempt))
}

fn line_row(task: &[u8], cluster: i64, seq: i64) -> Row {
    Row::default().and(task).number(cluster).number(seq)
}

fn delivery_row(task: &[u8], cluster: i64, seq: i32) -> Row {
    Row::default().and(task).number(cluster).number(i64::from(seq))
}

impl Store {
    /// The same store, whose values are sealed from now on. The database remembers under which keys that was done.
    ///
    /// # Errors
    /// [`Error::Unfit`] where values may be sealed under a key that the ring lacks; [`Error`] of the engine.
    pub async fn sealing(self, enigma: Enigma) -> Result<Self, Error> {
        let keys = "SELECT id, proof FROM enigma_key ORDER BY id";
        let known: Vec<(String, String)> = both!(&self.db, pool => Ok(sqlx::query_as(keys).fetch_all(pool).await?))?;
        for (id, proof) in &known {
            let Some(key) = enigma.keys().iter().find(|key| key.id() == id) else {
                return Err(Error::Unfit(format!(
                    "its values are sealed under the key `{id}`, which the configuration lacks: add it to `enigma.keys`, behind \
                     the first; `claiflow-server rekey` makes it needless"
                )));
            };
            if key.proof() != *proof {
                return Err(Error::Unfit(format!(
                    "its values are sealed under another key of the name `{id}` than the configured one: give the former one \
                     this name, and the new one another"
                )));
            }
        }
        let first = enigma.keys().first().filter(|key| known.iter().all(|(id, _)| id != key.id()));
        if let Some(key) = first {
            let sql = match &self.db {
                Db::Maria(_) => "INSERT IGNORE INTO enigma_key (id, proof, created) VALUES (?, ?, ?)",
                Db::Sqlite(_) => "INSERT OR IGNORE INTO enigma_key (id, proof, created) VALUES (?, ?, ?)",
            };
            let now = enigma.now_us();
            let added: Result<(), Error> = both!(&self.db, pool => {
                sqlx::query(sql).bind(key.id()).bind(key.proof()).bind(now).execute(pool).await?;
                Ok(())
            });
            added?;
        }
        Ok(Self { enigma: Arc::new(enigma), ..self })
    }

    /// The same store, which writes no such value where others are sealed, until [`Store::sealing`] brings the keys.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub(super) async fn without_keys(self) -> Result<Self, Error> {
        let keys: i64 =
            both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT COUNT(*) FROM enigma_key").fetch_one(pool).await?))?;
        let enigma = if keys > 0 { Enigma::shut() } else { Enigma::off() };
        Ok(Self { enigma: Arc::new(enigma), ..self })
    }

    /// The inputs and the result of one task together, bytes: what MariaDB takes in one packet. An envelope is a third longer.
    pub(crate) fn task_bytes(&self) -> usize {
        if self.enigma.is_on() { super::TASK_BYTES / 4 * 3 } else { super::TASK_BYTES }
    }

    /// What a sealed token may be found by in `cluster_token.token_mac`; empty where tokens are stored plain.
    pub(super) fn token_macs(&self, token: &str) -> Vec<String> {
        self.enigma.macs("cluster_token", token)
    }

    pub(super) fn seal_of_task(
        &self,
        column: &'static str,
        id: &[u8],
        cluster: i64,
        text: &str,
    ) -> Result<String, Error> {
        Ok(self.enigma.seal(Place { table: "task", column, row: &task_row(id, cluster) }, text)?)
    }

    fn open_of_task(&self, column: &'static str, row: &[u8], stored: &mut String) -> Result<(), Error> {
        *stored = self.enigma.open(Place { table: "task", column, row }, std::mem::take(stored))?;
        Ok(())
    }

    /// A live task from its row.
    pub(super) fn open_task(&self, mut task: Task) -> Result<Task, Error> {
        let bound = task_row(&task.id, task.cluster);
        self.open_of_task(INPUTS, &bound, &mut task.inputs).inspect_err(|error| {
            tracing::error!(
                task.uuid = task.uuid,
                error = error as &dyn std::error::Error,
                "a task's inputs cannot be decrypted"
            );
        })?;
        Ok(task)
    }

    pub(super) fn open_view(&self, mut view: View) -> Result<View, Error> {
        let bound = task_row(&view.id, view.cluster);
        self.open_of_task(INPUTS, &bound, &mut view.inputs)?;
        let rest = [(RESULT, &mut view.result), (ERROR, &mut view.error), (TIMELINE, &mut view.timeline)];
        for (column, stored) in rest {
            stored.as_mut().map_or(Ok(()), |stored| self.open_of_task(column, &bound, stored))?;
        }
        Ok(view)
    }

    pub(super) fn open_views(&self, views: Vec<View>) -> Result<Vec<View>, Error> {
        views.into_iter().map(|view| self.open_view(view)).collect()
    }

    pub(super) fn seal_output(
        &self,
        task: &[u8],
        cluster: i64,
        path: &str,
        attempt: i32,
        output: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let bound = step_row(task, cluster, path, attempt);
        let place = Place { table: "step", column: "output", row: bound.bytes() };
        Ok(output.map(|output| self.enigma.seal(place, output)).transpose()?)
    }

    pub(super) fn open_step(&self, task: &[u8], cluster: i64, mut step: StepRow) -> Result<StepRow, Error> {
        let bound = step_row(task, cluster, &step.path, step.attempt);
        let place = Place { table: "step", column: "output", row: bound.bytes() };
        step.output = step.output.map(|stored| self.enigma.open(place, stored)).transpose()?;
        Ok(step)
    }

    /// Message and fields.
    pub(super) fn seal_line(
        &self,
        task: &[u8],
        cluster: i64,
        line: &LogRow,
    ) -> Result<(String, Option<String>), Error> {
        let bound = line_row(task, cluster, line.seq);
        let place = |column| Place { table: "log", column, row: bound.bytes() };
        let fields = line.fields.as_ref().map(|fields| self.enigma.seal(place("fields"), fields)).transpose()?;
        Ok((self.enigma.seal(place("message"), &line.message)?, fields))
    }

    pub(super) fn open_line(&self, task: &[u8], cluster: i64, mut line: LogRow) -> Result<LogRow, Error> {
        let bound = line_row(task, cluster, line.seq);
        let place = |column| Place { table: "log", column, row: bound.bytes() };
        line.message = self.enigma.open(place("message"), line.message)?;
        line.fields = line.fields.map(|stored| self.enigma.open(place("fields"), stored)).transpose()?;
        Ok(line)
    }

    /// The token as it is stored, and what it is found by.
    pub(super) fn seal_token(&self, uuid: &str, token: &str) -> Result<(String, Option<String>), Error> {
        let bound = row(uuid);
        let place = Place { table: "cluster_token", column: "token", row: bound.bytes() };
        Ok((self.enigma.seal(place, token)?, self.enigma.mac("cluster_token", token)))
    }

    pub(super) fn open_token(&self, mut token: Token) -> Result<Token, Error> {
        let bound = row(&token.uuid);
        let place = Place { table: "cluster_token", column: "token", row: bound.bytes() };
        token.token = self.enigma.open(place, token.token)?;
        Ok(token)
    }

    /// A variable's value as it is stored: only the secret one is sealed.
    pub(super) fn seal_variable(&self, name: &str, value: &str) -> Result<String, Error> {
        if name != SECRET.name {
            return Ok(value.to_owned());
        }
        let bound = row(name);
        Ok(self.enigma.seal(Place { table: "global_variable", column: "value", row: bound.bytes() }, value)?)
    }

    pub(super) fn open_variable(&self, name: &str, stored: String) -> Result<String, Error> {
        if name != SECRET.name {
            return Ok(stored);
        }
        let bound = row(name);
        Ok(self.enigma.open(Place { table: "global_variable", column: "value", row: bound.bytes() }, stored)?)
    }

    /// A webhook's headers and secrets as they are stored.
    pub(super) fn seal_webhook(&self, webhook: &Webhook) -> Result<(Option<String>, Option<String>), Error> {
        let bound = row(&webhook.uuid);
        let seal = |column, text: Option<&String>| {
            let place = Place { table: "webhook", column, row: bound.bytes() };
            text.map(|text| self.enigma.seal(place, text)).transpose()
        };
        Ok((seal("headers", webhook.headers.as_ref())?, seal("secrets", webhook.secrets.as_ref())?))
    }

    pub(super) fn open_webhook(&self, mut webhook: Webhook) -> Result<Webhook, Error> {
        let bound = row(&webhook.uuid);
        for (column, stored) in [("headers", &mut webhook.headers), ("secrets", &mut webhook.secrets)] {
            let place = Place { table: "webhook", column, row: bound.bytes() };
            *stored = stored.take().map(|text| self.enigma.open(place, text)).transpose()?;
        }
        Ok(webhook)
    }

    /// A published document as it is stored, under its id.
    pub(super) fn seal_body(&self, id: &[u8], body: &str) -> Result<String, Error> {
        let bound = delivery_row(id, 0, 1);
        Ok(self.enigma.seal(Place { table: "webhook_delivery", column: "body", row: bound.bytes() }, body)?)
    }

    pub(super) fn open_delivery(&self, mut delivery: Delivery) -> Result<Delivery, Error> {
        let bound = delivery_row(&delivery.task, delivery.cluster, delivery.seq);
        let place = Place { table: "webhook_delivery", column: "body", row: bound.bytes() };
        delivery.body = delivery.body.map(|stored| self.enigma.open(place, stored)).transpose()?;
        Ok(delivery)
    }
}

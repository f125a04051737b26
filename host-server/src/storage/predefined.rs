//! The server's own templates, brought up to date in one transaction.

use std::collections::HashMap;

use super::{Db, Error, Store, both, nouns, task::insert};
use crate::model::{
    nouns::Template,
    predefined::{Decision, Written, decide, digest},
};

/// What was done, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// Uuids with what became of them; those that were up to date are left out.
    pub decisions: Vec<(String, Decision)>,
    /// Templates of other uuids that have the name of one that was installed now: name and uuid.
    pub namesakes: Vec<(String, String)>,
}

/// `IN (…)` over texts.
macro_rules! push_texts {
    ($query:expr, $texts:expr) => {{
        let mut list = $query.push(" IN (").separated(", ");
        for text in $texts {
            list.push_bind(text);
        }
        $query.push(")");
    }};
}

impl Store {
    /// Installs `ours` and renews what nobody touched since it was installed; see [`decide`]. Where all are up to date, nothing
    /// is locked or written.
    ///
    /// # Errors
    /// [`Error::Duplicate`] where a person was faster: nothing was done, and trying again is right, as it is where
    /// [`Error::may_pass`]. [`Error`] of the engine.
    pub async fn bring_templates(&self, edition: i32, ours: &[Template]) -> Result<Brought, Error> {
        let (begin, lock, _) = self.begin();
        let template = |uuid: &str| ours.iter().find(|row| row.uuid == uuid);
        both!(&self.db, pool => {
            let known: Vec<(String, i32)> = sqlx::query_as("SELECT uuid, edition FROM predefined").fetch_all(pool).await?;
            let known: HashMap<String, i32> = known.into_iter().collect();
            let due: Vec<&Template> = ours.iter().filter(|row| known.get(&row.uuid).is_none_or(|known| *known < edition)).collect();
            if due.is_empty() {
                return Ok(Brought::default());
            }
            let mut tx = pool.begin_with(begin).await?;
            // Replicas do this one after the other, as they bring the schema up to date; on SQLite the beginning waits.
            if matches!(self.db, Db::Maria(_)) {
                sqlx::query("SELECT id FROM schema_lock WHERE id = 1 FOR UPDATE").execute(&mut *tx).await?;
            }
            let mut query = sqlx::QueryBuilder::new(format!("{} WHERE uuid", nouns::template(self.db.dialect())));
            push_texts!(query, due.iter().map(|row| &row.uuid));
            let stored: Vec<Template> = query.push(lock).build_query_as().fetch_all(&mut *tx).await?;
            let mut query = sqlx::QueryBuilder::new("SELECT uuid, edition, digest FROM predefined WHERE uuid");
            push_texts!(query, due.iter().map(|row| &row.uuid));
            let written: Vec<(String, i32, Vec<u8>)> = query.push(lock).build_query_as().fetch_all(&mut *tx).await?;
            let mut brought = Brought { decisions: judge(edition, &due, &stored, written), namesakes: vec![] };
            let met = |wanted: &[Decision]| {
                let met = brought.decisions.iter().filter(|(_, decision)| wanted.contains(decision));
                met.filter_map(|(uuid, _)| template(uuid)).collect::<Vec<_>>()
            };
            let (new, renewed) = (met(&[Decision::Install]), met(&[Decision::Renew]));
            let noted = met(&[Decision::Install, Decision::Renew, Decision::Note]);
            if !new.is_empty() {
                let mut query = sqlx::QueryBuilder::new("SELECT name, uuid FROM template WHERE name");
                push_texts!(query, new.iter().map(|row| &row.name));
                let named: Vec<(String, String)> = query.push(" ORDER BY name, uuid").build_query_as().fetch_all(&mut *tx).await?;
                brought.namesakes = named.into_iter().filter(|(_, uuid)| template(uuid).is_none()).collect();
            }
            insert!(tx, "INSERT INTO template (uuid, name, summary, flow, inputs, origin, created, options) ", new.as_slice(), bytes, |b, row| b
                .push_bind(&row.uuid).push_bind(&row.name).push_bind(&row.summary).push_bind(&row.flow)
                .push_bind(&row.inputs).push_bind(&row.origin).push_bind(row.created).push_bind(&row.options));
            for row in renewed {
                sqlx::query("UPDATE template SET name = ?, summary = ?, flow = ?, inputs = ?, origin = ?, options = ?, updated = ? WHERE uuid = ?")
                    .bind(&row.name).bind(&row.summary).bind(&row.flow).bind(&row.inputs).bind(&row.origin).bind(&row.options)
                    .bind(row.created).bind(&row.uuid).execute(&mut *tx).await?;
            }
            insert!(tx, "REPLACE INTO predefined (uuid, edition, digest) ", noted.as_slice(), |_| 0, |b, row| b
                .push_bind(&row.uuid).push_bind(edition).push_bind(digest(row).to_vec()));
            tx.commit().await?;
            Ok(brought)
        })
    }
}

fn judge(
    edition: i32,
    due: &[&Template],
    stored: &[Template],
    written: Vec<(String, i32, Vec<u8>)>,
) -> Vec<(String, Decision)> {
    let stored: HashMap<&str, &Template> = stored.iter().map(|row| (row.uuid.as_str(), row)).collect();
    let written: HashMap<String, Written> =
        written.into_iter().map(|(uuid, edition, digest)| (uuid, Written { edition, digest })).collect();
    due.iter()
        .map(|ours| {
            (ours.uuid.clone(), decide(edition, ours, written.get(&ours.uuid), stored.get(ours.uuid.as_str()).copied()))
        })
        .filter(|(_, decision)| *decision != Decision::Leave)
        .collect()
}

fn bytes(row: &&Template) -> usize {
    row.flow.len() + row.inputs.as_deref().map_or(0, str::len)
}

//! What people declared: clusters, tokens, templates and variables, from the first version's rows to ours.

use chrono::NaiveDateTime;
use serde_json::Value;

use super::clear::Clear;
use crate::model::{
    ids::{lookup, time},
    nouns::{Cluster, Template, Token, Variable},
    original::{Odd, Record},
    predefined::USERDEFINED,
    variables::Settings,
};

/// Characters of a name.
const NAME: usize = 255;
/// Bytes of a summary.
const SUMMARY: usize = 65_535;
/// Characters of a token.
const TOKEN: usize = 512;
/// Characters of a uuid.
const UUID: usize = 32;

/// A row of ours, and what should be said of it.
pub(super) struct Row<T> {
    pub(super) row: T,
    pub(super) remarks: Vec<String>,
}

/// What was made of a row.
pub(super) enum Found<T> {
    /// A row of ours.
    Row(Row<T>),
    /// It had been deleted.
    Deleted,
    /// The server brings it.
    Ours,
}

/// A uuid as it is looked up. One that is no 32 hexadecimal digits is a remark; one that cannot be stored is refused.
pub(super) fn uuid(record: &Record, column: &str, remarks: &mut Vec<String>) -> Result<String, Odd> {
    let given = record.text_or_empty(column)?;
    let own = lookup(given.trim());
    if own.is_empty() || own.len() > UUID {
        return Err(Odd(format!("`{column}` is not a text of 1 to {UUID} ASCII characters besides hyphens")));
    }
    if own.len() != UUID || !own.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        remarks.push(format!("its `{column}` is not 32 hexadecimal digits; it is found as `{own}`"));
    }
    Ok(own)
}

fn name(record: &Record, instead: &str, remarks: &mut Vec<String>) -> Result<String, Odd> {
    let name = record.text("name")?.filter(|name| !name.is_empty()).unwrap_or_else(|| instead.to_owned());
    if name.chars().count() > NAME {
        remarks.push(format!("its name was cut to {NAME} characters"));
    }
    Ok(name.chars().take(NAME).collect())
}

fn summary(record: &Record, remarks: &mut Vec<String>) -> Result<Option<String>, Odd> {
    let Some(text) = record.text("summary")? else { return Ok(None) };
    if text.len() > SUMMARY {
        remarks.push(format!("its summary was cut to {SUMMARY} bytes"));
    }
    Ok(text.get(..text.floor_char_boundary(SUMMARY)).map(str::to_owned))
}

/// Name and summary, of a task too.
pub(super) fn words(
    record: &Record,
    instead: &str,
    remarks: &mut Vec<String>,
) -> Result<(String, Option<String>), Odd> {
    Ok((name(record, instead, remarks)?, summary(record, remarks)?))
}

/// Times of the row: of its making and of its last change.
fn times(record: &Record) -> Result<(i64, i64), Odd> {
    let created = record.time("created")?.unwrap_or_default();
    Ok((created, record.time("updated")?.unwrap_or(created)))
}

pub(super) fn cluster(record: &Record) -> Result<Row<Cluster>, Odd> {
    let mut remarks = vec![];
    let uuid = uuid(record, "uuid", &mut remarks)?;
    let (name, summary) = words(record, &uuid, &mut remarks)?;
    let (created, updated) = times(record)?;
    let deleted = record.time("deleted")?;
    let row = Cluster {
        id: 0,
        uuid,
        name,
        summary,
        labels: None,
        paused: false,
        concurrency: None,
        created,
        updated,
        deleted,
    };
    Ok(Row { row, remarks })
}

/// A cluster of which only tasks are left: it stands as deleted, so that they can be read.
pub(super) fn lost_cluster(uuid: String, now_us: i64) -> Cluster {
    Cluster {
        id: 0,
        name: uuid.clone(),
        uuid,
        summary: Some("only tasks of it were found when the first version's database was imported".into()),
        labels: None,
        paused: false,
        concurrency: None,
        created: now_us,
        updated: now_us,
        deleted: Some(now_us),
    }
}

pub(super) fn token(record: &Record, clear: &Clear, settings: &Settings) -> Result<Row<Token>, Odd> {
    let mut remarks = vec![];
    let own = uuid(record, "uuid", &mut remarks)?;
    let cluster_uuid = uuid(record, "cluster_uuid", &mut vec![])?;
    let (name, summary) = words(record, &own, &mut remarks)?;
    let (created, updated) = times(record)?;
    let token = clear.text(record, "token")?.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Odd("`token` is empty".into()))?;
    if token.chars().count() > TOKEN {
        return Err(Odd(format!("`token` has more than {TOKEN} characters")));
    }
    let issued_at = record.time("issued_at_time")?.unwrap_or(created);
    let expires_at = record.time("expiration_time")?.unwrap_or_else(|| {
        remarks.push("it has no `expiration_time`; it expires as if it had been made when it was issued".into());
        settings.token_expiry(issued_at)
    });
    Ok(Row {
        row: Token { id: 0, uuid: own, name, summary, cluster_uuid, token, issued_at, expires_at, created, updated },
        remarks,
    })
}

pub(super) fn variable(record: &Record) -> Result<Row<Variable>, Odd> {
    let mut remarks = vec![];
    let uuid = uuid(record, "uuid", &mut remarks)?;
    let (name, summary) = words(record, &uuid, &mut remarks)?;
    let (created, updated) = times(record)?;
    let value = record.text_or_empty("value")?;
    Ok(Row { row: Variable { id: 0, uuid, name, summary, value, created, updated }, remarks })
}

pub(super) fn template(record: &Record, ours: &[Template]) -> Result<Found<Template>, Odd> {
    let mut remarks = vec![];
    let uuid = record.text_or_empty("uuid")?;
    if uuid.is_empty() || uuid.len() > UUID || !uuid.is_ascii() {
        return Err(Odd(format!("`uuid` is not a text of 1 to {UUID} ASCII characters")));
    }
    let (name, summary) = words(record, &uuid, &mut remarks)?;
    let (created, updated) = (record.time("created")?.unwrap_or_default(), record.time("updated")?);
    let flow = record.text_or_empty("flow")?;
    let origin = record.text("origin")?.unwrap_or_else(|| USERDEFINED.into());
    if origin != USERDEFINED
        && let Some(own) = ours.iter().find(|own| own.uuid.eq_ignore_ascii_case(&uuid))
    {
        if is_same(&flow, &own.flow) {
            return Ok(Found::Ours);
        }
        remarks.push("it has the uuid of a template that the server brings, and another flow: yours is kept, the server's is not installed".into());
    }
    if let Err(mistakes) = claiflow_flow::Flow::parse(&flow, claiflow_flow::Origin::Stored) {
        let why = mistakes.first().map(|mistake| format!("{}: {}", mistake.pointer, mistake.message));
        remarks.push(format!("its flow cannot run as it is stored: {}", why.unwrap_or_default()));
    }
    let row = Template {
        uuid,
        name,
        summary,
        flow,
        inputs: record.text("inputs")?,
        // The server looks after those that it wrote itself, and no others.
        origin: USERDEFINED.into(),
        created: Some(seconds(created)),
        updated: updated.map(seconds),
        options: None,
    };
    Ok(Found::Row(Row { row, remarks }))
}

/// As the table holds times.
fn seconds(us: i64) -> NaiveDateTime {
    time(us - us.rem_euclid(1_000_000)).naive_utc()
}

fn is_same(one: &str, other: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    read(one).is_some_and(|one| Some(one) == read(other))
}

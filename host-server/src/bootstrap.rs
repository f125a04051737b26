//! The first admin's token, from a shell beside the database: whoever can write there may make one.

use std::error::Error;

use crate::{
    app::{
        api_token::{Declare, make},
        rights::Noun,
    },
    config::{Config, CreateToken},
    lifecycle,
    model::{
        audit::Audit,
        duration::{self, micros},
        ids::{Source, hex, time},
        people::Caller,
    },
};

/// Who makes it, in the audit trail.
const SHELL: &str = "shell";

/// Makes a token in the configured database, and answers what it shows.
///
/// # Errors
/// A wrong wish, or a database that cannot be opened.
pub async fn create_token(config: &Config, wish: CreateToken) -> Result<String, Box<dyn Error + Send + Sync>> {
    let (store, source) = (lifecycle::open(config).await?, Source);
    let now = source.now_us();
    let name = wish.name.unwrap_or_else(|| format!("shell-{}", time(now).format("%Y%m%dT%H%M%S%3f")));
    let given = |uuids: Vec<String>| Some(uuids).filter(|uuids| !uuids.is_empty());
    let new = Declare {
        uuid: None,
        name: Some(name),
        summary: Some("made by `claiflow-server token create`".into()),
        role: Some(wish.role),
        clusters: given(wish.clusters),
        templates: given(wish.templates),
        expires: wish.expires.map(|text| expiry(&text, now)),
    };
    let maker = Caller { name: SHELL.into(), ..Caller::anonymous() };
    let (row, secret) = make(&store, &source, &maker, new).await?;
    let audit = Audit {
        at: now,
        caller: SHELL.into(),
        operation: "create_api_token".into(),
        resource_type: Noun::ApiToken.word().into(),
        resource_uuid: row.uuid,
        request_id: hex(&source.random()),
        code: 200,
        detail: Some(format!("{}, role {}", row.name, row.role)),
        ..Audit::default()
    };
    store.audit(&audit).await?;
    store.close().await;
    Ok(secret)
}

/// A duration as the time at which it is over; anything else as it stands.
fn expiry(text: &str, now_us: i64) -> String {
    match duration::parse(text) {
        Ok(life) => time(now_us.saturating_add(micros(life))).to_rfc3339(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::expiry;

    #[test]
    fn a_duration_counts_from_now_and_a_time_is_a_time() {
        for (text, expected) in [
            ("1h", "1970-01-01T01:00:00+00:00"),
            ("2030-01-31T00:00:00Z", "2030-01-31T00:00:00Z"),
            ("", ""),
            ("soon", "soon"),
        ] {
            assert_eq!(expiry(text, 0), expected, "{text}");
        }
    }
}

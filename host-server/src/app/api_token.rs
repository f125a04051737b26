//! API tokens: made, shown once, changed, revoked. What a token shows is stored as a digest only.

use super::{
    App, Error,
    recognise::{PREFIX, digest},
    rights::Noun,
    text::{summary, unchanged},
};
use crate::{
    model::{
        audit::Audit,
        ids::{Source, hex, lookup, time, uuid_text},
        list::Listing,
        people::{ApiToken, Caller, Role, Scope},
    },
    storage::{self, Store},
};

const NAME_CHARACTERS: usize = 128;
/// Uuids of a scope, in each of its two lists.
const SCOPE_MOST: usize = 1_000;
/// The first microsecond of the year 10000, which RFC 3339 cannot write.
const YEAR_10000_US: i64 = 253_402_300_800_000_000;
/// The token of `auth.bootstrapToken`.
const BOOTSTRAP: &str = "bootstrap";

/// What a caller says about a token.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Declare {
    pub uuid: Option<String>,
    /// Required on create; it cannot change.
    pub name: Option<String>,
    pub summary: Option<String>,
    /// Required on create.
    pub role: Option<String>,
    pub clusters: Option<Vec<String>>,
    pub templates: Option<Vec<String>>,
    /// RFC 3339; it lives for ever when absent.
    pub expires: Option<String>,
}

fn invalid(field: &str, message: String) -> Error {
    Error::Invalid {
        detail: format!("`{field}` does not fit: {message}"),
        errors: vec![(format!("/{field}"), message)],
    }
}

fn checked_name(text: &str) -> Result<&str, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    if (1..=NAME_CHARACTERS).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text);
    }
    Err(invalid("name", format!("it has 1 to {NAME_CHARACTERS} characters of A-Z a-z 0-9 . _ - @")))
}

fn checked_role(text: &str) -> Result<Role, Error> {
    Role::of(text).ok_or_else(|| {
        invalid("role", format!("it is one of {}", Role::ALL.map(|role| format!("`{}`", role.word())).join(", ")))
    })
}

/// A time that is yet to come.
fn checked_expiry(text: &str, now_us: i64) -> Result<i64, Error> {
    let wrong = || {
        invalid(
            "expires",
            "it is a time to come, such as 2030-01-31T00:00:00Z; leave it out for a token without end".into(),
        )
    };
    let end = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?.timestamp_micros();
    if end > now_us && end < YEAR_10000_US { Ok(end) } else { Err(wrong()) }
}

/// A list of a scope, as it is stored.
fn checked_scope(
    field: &str,
    uuids: Option<Vec<String>>,
    check: impl Fn(&str) -> Option<String>,
    form: &str,
) -> Result<Option<String>, Error> {
    let Some(uuids) = uuids else { return Ok(None) };
    if uuids.is_empty() || uuids.len() > SCOPE_MOST {
        return Err(invalid(field, format!("it names 1 to {SCOPE_MOST}; leave it out for all")));
    }
    let mut checked = Vec::with_capacity(uuids.len());
    for (index, uuid) in uuids.iter().enumerate() {
        let one = check(uuid).ok_or_else(|| Error::Invalid {
            detail: format!("`{field}` does not fit: {form}"),
            errors: vec![(format!("/{field}/{index}"), form.to_owned())],
        })?;
        if !checked.contains(&one) {
            checked.push(one);
        }
    }
    Ok(Some(serde_json::to_string(&checked).unwrap_or_default()))
}

fn cluster_list(uuids: Option<Vec<String>>) -> Result<Option<String>, Error> {
    checked_scope(
        "clusters",
        uuids,
        |uuid| uuid_text("clusters", uuid).ok(),
        "a cluster's uuid has 32 hexadecimal digits",
    )
}

fn template_list(uuids: Option<Vec<String>>) -> Result<Option<String>, Error> {
    let check = |uuid: &str| {
        let fits = (1..=32).contains(&uuid.len())
            && uuid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        fits.then(|| uuid.to_ascii_lowercase())
    };
    checked_scope("templates", uuids, check, "a template's uuid has 1 to 32 characters of A-Z a-z 0-9 _ . -")
}

/// Refuses a token that can do more than who makes or changes it.
fn beyond(maker: &Caller, role: Role, scope: &Scope) -> Result<(), Error> {
    let narrower = |mine: &Option<Vec<String>>, theirs: &Option<Vec<String>>| match (mine, theirs) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(mine), Some(theirs)) => theirs.iter().all(|one| mine.iter().any(|own| own.eq_ignore_ascii_case(one))),
    };
    let is_within = role <= maker.role
        && narrower(&maker.scope.clusters, &scope.clusters)
        && narrower(&maker.scope.templates, &scope.templates);
    if is_within {
        return Ok(());
    }
    Err(Error::Refused(format!("{} cannot give a token more than it may do itself", maker.name)))
}

/// Makes a token, and what it shows: the only time that anybody sees it.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Malformed`], [`Error::Conflict`] for a uuid or a name that was used before,
/// [`Error::Unavailable`].
pub async fn make(store: &Store, source: &Source, maker: &Caller, new: Declare) -> Result<(ApiToken, String), Error> {
    let secret = format!("{PREFIX}{}{}", hex(&source.random()), hex(&source.random()));
    let now = source.now_us();
    let name = checked_name(new.name.as_deref().unwrap_or_default())?.to_owned();
    if name.eq_ignore_ascii_case(BOOTSTRAP) {
        return Err(invalid("name", format!("`{BOOTSTRAP}` is the token of `auth.bootstrapToken`; choose another")));
    }
    let role = checked_role(new.role.as_deref().unwrap_or_default())?;
    let row = ApiToken {
        id: 0,
        uuid: match &new.uuid {
            Some(uuid) => uuid_text("uuid", uuid).map_err(Error::Malformed)?,
            None => hex(&source.id()),
        },
        name,
        summary: summary(new.summary)?,
        role: role.word().into(),
        clusters: cluster_list(new.clusters)?,
        templates: template_list(new.templates)?,
        digest: digest(&secret).to_vec(),
        expires_at: new.expires.as_deref().map(|text| checked_expiry(text, now)).transpose()?,
        last_used: None,
        created: now,
        updated: now,
        deleted: None,
    };
    beyond(maker, role, &row.caller().map(|caller| caller.scope).unwrap_or_default())?;
    match store.insert_api_token(&row).await {
        Ok(()) => Ok((row, secret)),
        Err(storage::Error::Duplicate) => Err(Error::Conflict(format!(
            "a token with this uuid or the name `{}` exists or existed; choose others: a name means one token for ever, and what a token shows is shown once",
            row.name
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Brings the token of `auth.bootstrapToken`: made once, brought up to date when the configured one is another. One that was
/// revoked stays revoked, until another is configured.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn bring_bootstrap(store: &Store, source: &Source, secret: &str) -> Result<(), Error> {
    let (digest, now) = (digest(secret).to_vec(), source.now_us());
    let uuid = match store.api_token_named(BOOTSTRAP).await? {
        None => {
            let row = ApiToken {
                id: 0,
                uuid: hex(&source.id()),
                name: BOOTSTRAP.into(),
                summary: Some("auth.bootstrapToken of the configuration".into()),
                role: Role::Admin.word().into(),
                clusters: None,
                templates: None,
                digest,
                expires_at: None,
                last_used: None,
                created: now,
                updated: now,
                deleted: None,
            };
            match store.insert_api_token(&row).await {
                Ok(()) => row.uuid,
                // Another replica was faster.
                Err(storage::Error::Duplicate) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Some(row) if row.digest != digest => {
            let uuid = row.uuid.clone();
            let role = Role::Admin.word().into();
            let (clusters, templates, expires_at, deleted) = (None, None, None, None);
            let row = ApiToken { digest, role, clusters, templates, expires_at, deleted, updated: now, ..row };
            store.update_api_token(&row).await?;
            uuid
        }
        Some(row) => {
            if row.deleted.is_some() {
                tracing::info!(
                    "the token `{BOOTSTRAP}` was revoked and stays so; `auth.bootstrapToken` can be left out"
                );
            }
            return Ok(());
        }
    };
    tracing::info!("the token `{BOOTSTRAP}` is what `auth.bootstrapToken` says");
    let row = Audit {
        at: now,
        caller: "configuration".into(),
        operation: "bring_bootstrap_token".into(),
        resource_type: Noun::ApiToken.word().into(),
        resource_uuid: uuid,
        request_id: hex(&source.random()),
        code: 200,
        ..Audit::default()
    };
    Ok(store.audit(&row).await?)
}

impl App {
    /// Brings the token of `auth.bootstrapToken`, if there is one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn bring_bootstrap_token(&self, secret: Option<&str>) -> Result<(), Error> {
        match secret {
            Some(secret) => bring_bootstrap(&self.store, &self.source, secret).await,
            None => Ok(()),
        }
    }

    /// Whether some token lets its bearer do everything.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn has_admin_token(&self) -> Result<bool, Error> {
        Ok(self.store.has_other_admin_token("", self.source.now_us()).await?)
    }

    /// Makes a token, and what it shows.
    ///
    /// # Errors
    /// As [`make`]; [`Error::Refused`] for more than the maker may do.
    pub async fn make_api_token(&self, maker: &Caller, new: Declare) -> Result<(ApiToken, String), Error> {
        make(&self.store, &self.source, maker, new).await
    }

    /// One token, unless it was revoked.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn api_token(&self, uuid: &str) -> Result<ApiToken, Error> {
        let row = self.store.api_token(&lookup(uuid)).await?;
        row.ok_or_else(|| Error::NotFound(format!("there is no API token `{uuid}`")))
    }

    /// Tokens in the order of their making.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn api_tokens(&self, listing: &Listing<i64>) -> Result<Vec<ApiToken>, Error> {
        Ok(self.store.api_tokens(listing).await?)
    }

    /// Changes what is given. `even_last`: also when no other token lets anybody administer afterwards.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Malformed`], [`Error::Refused`], [`Error::Conflict`] for the last
    /// token of an admin.
    pub async fn change_api_token(
        &self,
        maker: &Caller,
        uuid: &str,
        change: Declare,
        even_last: bool,
    ) -> Result<ApiToken, Error> {
        let before = self.api_token(uuid).await?;
        let mut row = before.clone();
        let now = self.source.now_us();
        unchanged("uuid", &row.uuid, change.uuid.as_deref())?;
        if change.name.as_ref().is_some_and(|name| *name != row.name) {
            return Err(Error::Malformed(format!(
                "`name` cannot change; it is `{}`, in the audit trail too",
                row.name
            )));
        }
        let role = change.role.as_deref().map(checked_role).transpose()?;
        row.role = role.map_or(row.role, |role| role.word().into());
        row.summary = summary(change.summary)?.or(row.summary);
        row.clusters = cluster_list(change.clusters)?.or(row.clusters);
        row.templates = template_list(change.templates)?.or(row.templates);
        row.expires_at =
            change.expires.as_deref().map(|text| checked_expiry(text, now)).transpose()?.or(row.expires_at);
        for one in [&before, &row] {
            let caller = one.caller().unwrap_or_else(Caller::anonymous);
            beyond(maker, caller.role, &caller.scope)?;
        }
        if is_whole_admin(&before) && !(is_whole_admin(&row) && row.expires_at == before.expires_at) {
            self.not_the_last(&row, even_last, now).await?;
        }
        row.updated = now;
        self.store.update_api_token(&row).await?;
        self.recognised.forget(&row.uuid);
        Ok(row)
    }

    /// Revokes a token: here at once, on other replicas within two seconds. Unknown ones are no error.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Conflict`] for the last token of an admin, [`Error::Unavailable`].
    pub async fn revoke_api_token(&self, maker: &Caller, uuid: &str, even_last: bool) -> Result<(), Error> {
        let Some(mut row) = self.store.api_token(&lookup(uuid)).await? else { return Ok(()) };
        let caller = row.caller().unwrap_or_else(Caller::anonymous);
        beyond(maker, caller.role, &caller.scope)?;
        let now = self.source.now_us();
        if is_whole_admin(&row) {
            self.not_the_last(&row, even_last, now).await?;
        }
        row.deleted = Some(now);
        row.updated = now;
        self.store.update_api_token(&row).await?;
        self.recognised.forget(&row.uuid);
        Ok(())
    }

    async fn not_the_last(&self, row: &ApiToken, even_last: bool, now: i64) -> Result<(), Error> {
        if even_last || self.store.has_other_admin_token(&row.uuid, now).await? {
            return Ok(());
        }
        Err(Error::Conflict(format!(
            "`{}` is the last token of an admin without a scope{}; say `?last=true` if you mean it: `claiflow-server token create --role admin` makes another",
            row.name,
            row.expires_at.map(|end| format!(", until {}", time(end).to_rfc3339())).unwrap_or_default(),
        )))
    }
}

fn is_whole_admin(row: &ApiToken) -> bool {
    row.role == Role::Admin.word() && row.clusters.is_none() && row.templates.is_none()
}

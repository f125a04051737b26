//! Cluster tokens: the secrets that agents authenticate with.

use super::{
    App, Error,
    cluster::no_cluster,
    rights::within,
    text::{name, required, required_name, summary, unchanged},
};
use crate::model::{
    ids::{hex, lookup, uuid_text},
    list::Listing,
    nouns::Token,
    people::Caller,
};

const DAY_US: i64 = 86_400_000_000;
/// `ClusterToken/ExpirationTime`, 365 days.
const LIFE_DAYS: i64 = 365;
const TOKEN_CHARACTERS: usize = 512;

/// What a caller says about a token.
#[derive(Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Declare {
    pub uuid: Option<String>,
    pub name: Option<String>,
    pub summary: Option<String>,
    pub cluster_uuid: Option<String>,
    pub token: Option<String>,
    /// Who makes it, and may only name clusters of their scope; none: the server itself.
    pub caller: Option<Caller>,
}

/// A secret that the caller chose; an empty one counts as none.
fn chosen(token: Option<String>) -> Result<Option<String>, Error> {
    let token = token.filter(|token| !token.is_empty());
    if token.as_ref().is_some_and(|token| token.chars().count() > TOKEN_CHARACTERS) {
        return Err(Error::Malformed(format!("`token` has at most {TOKEN_CHARACTERS} characters")));
    }
    Ok(token)
}

/// UTC midnight plus the duration, as durations of a day and more always counted.
fn expiry(now_us: i64) -> i64 {
    now_us - now_us.rem_euclid(DAY_US) + LIFE_DAYS * DAY_US
}

impl App {
    /// Makes a token; without `token` a random one.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::NotFound`], [`Error::Conflict`], [`Error::Refused`] for a cluster out of the scope.
    pub async fn declare_token(&self, new: Declare) -> Result<Token, Error> {
        let (name, summary) = (required_name(new.name)?, summary(new.summary)?);
        let cluster =
            uuid_text("cluster_uuid", &required("cluster_uuid", new.cluster_uuid)?).map_err(Error::Malformed)?;
        if let Some(caller) = &new.caller {
            within(caller, std::iter::once(cluster.as_str()), None)?;
        }
        self.cluster(&cluster).await.map_err(|error| error.or_if_missing(|| no_cluster(&cluster)))?;
        let uuid = match &new.uuid {
            Some(uuid) => uuid_text("uuid", uuid).map_err(Error::Malformed)?,
            None => hex(&self.source.id()),
        };
        let given = chosen(new.token)?;
        if let Some(found) = self.store.token(&uuid).await? {
            let same = found.name == name
                && found.summary == summary
                && found.cluster_uuid == cluster
                && given.as_ref().is_none_or(|token| *token == found.token);
            return if same {
                Ok(found)
            } else {
                Err(Error::Conflict(format!("token `{uuid}` exists with other content; PUT changes it")))
            };
        }
        let now = self.source.now_us();
        let row = Token {
            id: 0,
            uuid,
            name,
            summary,
            cluster_uuid: cluster,
            token: given.unwrap_or_else(|| hex(&self.source.random())),
            issued_at: now,
            expires_at: expiry(now),
            created: now,
            updated: now,
        };
        self.store.insert_token(&row).await?;
        Ok(row)
    }

    /// One token.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn token(&self, uuid: &str) -> Result<Token, Error> {
        self.store
            .token(&lookup(uuid))
            .await?
            .ok_or_else(|| Error::NotFound(format!("there is no cluster token `{uuid}`")))
    }

    /// Tokens in the order of their making.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn tokens(&self, listing: &Listing<i64>) -> Result<Vec<Token>, Error> {
        Ok(self.store.tokens(listing).await?)
    }

    /// Changes what is given.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Malformed`].
    pub async fn change_token(&self, uuid: &str, change: Declare) -> Result<Token, Error> {
        let mut row = self.token(uuid).await?;
        unchanged("uuid", &row.uuid, change.uuid.as_deref())?;
        unchanged("cluster_uuid", &row.cluster_uuid, change.cluster_uuid.as_deref())?;
        row.name = name(change.name)?.unwrap_or(row.name);
        row.summary = summary(change.summary)?.or(row.summary);
        row.token = chosen(change.token)?.unwrap_or(row.token);
        self.keep_token(row).await
    }

    /// Lets a token live anew; `issued_at_time` stays.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn refresh_token(&self, uuid: &str) -> Result<Token, Error> {
        let mut row = self.token(uuid).await?;
        row.expires_at = expiry(self.source.now_us());
        self.keep_token(row).await
    }

    /// Ends a token's life now, and what was opened with it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn expire_token(&self, uuid: &str) -> Result<Token, Error> {
        let mut row = self.token(uuid).await?;
        row.expires_at = self.source.now_us();
        let row = self.keep_token(row).await?;
        self.end_sessions(&row.uuid).await?;
        Ok(row)
    }

    /// Ends the streams that were opened with a token: an open one would outlive it.
    async fn end_sessions(&self, token_uuid: &str) -> Result<(), Error> {
        for session in self.store.sessions_of_token(token_uuid).await? {
            self.revoke_session(&session).await?;
        }
        Ok(())
    }

    async fn keep_token(&self, mut row: Token) -> Result<Token, Error> {
        row.updated = self.source.now_us();
        self.store.update_token(&row).await?;
        Ok(row)
    }

    /// Removes a token and ends what was opened with it. Unknown ones are no error.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn delete_token(&self, uuid: &str) -> Result<(), Error> {
        let uuid = lookup(uuid);
        self.store.delete_token(&uuid).await?;
        self.end_sessions(&uuid).await
    }
}

//! Requests that come again: a caller's own uuid, or its `Idempotency-Key`, gives the stored answer.

use sha2::{Digest as _, Sha256};

use super::{
    App, Error,
    service::{Create, Shown},
};
use crate::{
    dispatch::NewTask,
    model::{
        ids::{Id, hex},
        people::Caller,
        task::RequestKey,
    },
};

/// Characters of a key at most.
const KEY_CHARACTERS: usize = 255;

/// Whose key it is: nobody's where nobody has to say who they are, else a digest of the caller's name, which fits the column
/// whatever the name is.
fn owner(create: &Create) -> String {
    match &create.asked {
        Some(asked) if asked.caller.name != Caller::anonymous().name => hex(&Sha256::digest(&asked.caller.name)),
        _ => String::new(),
    }
}

/// A request's key as it is kept: no more of it than a digest.
pub(super) fn request_key(
    create: &Create,
    request: [u8; 32],
    id: Id,
    created: i64,
) -> Result<Option<RequestKey>, Error> {
    let Some(key) = &create.key else { return Ok(None) };
    if key.is_empty() || key.chars().count() > KEY_CHARACTERS {
        return Err(Error::Malformed(format!("`Idempotency-Key` has 1 to {KEY_CHARACTERS} characters")));
    }
    Ok(Some(RequestKey { caller: owner(create), digest: Sha256::digest(key).into(), request, id, created }))
}

impl App {
    /// The stored answer, when a request comes again; none for one that was not asked before.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the uuid or the key came with another request.
    pub(super) async fn asked_before(
        &self,
        tasks: &[(NewTask, String)],
        key: Option<&RequestKey>,
    ) -> Result<Option<Vec<Shown>>, Error> {
        if let Some(key) = key
            && let Some((request, id)) = self.store.request_of(&key.caller, key.digest).await?
        {
            if request != key.request {
                return Err(Error::Conflict(
                    "this `Idempotency-Key` came with another request within the last 24 hours; choose another".into(),
                ));
            }
            return self.answered(tasks, &id).await.map(Some);
        }
        let Some(request) = tasks.first().and_then(|(new, _)| new.task.request) else { return Ok(None) };
        let mut found = Vec::new();
        for (new, _) in tasks {
            let task = &new.task;
            match self.store.alias(task.cluster, &task.uuid).await? {
                Some((id, stored)) if stored == request => {
                    found.extend(self.shown(self.store.task(task.cluster, &id).await?).await?);
                }
                Some(_) => {
                    return Err(Error::Conflict(format!(
                        "task `{}` exists with another request; choose another uuid",
                        task.uuid
                    )));
                }
                None => {}
            }
        }
        Ok((!found.is_empty()).then_some(found))
    }

    /// The tasks of an id, in the order in which the request names their clusters.
    async fn answered(&self, tasks: &[(NewTask, String)], id: &[u8]) -> Result<Vec<Shown>, Error> {
        let mut found = Vec::with_capacity(tasks.len());
        for (new, _) in tasks {
            found.extend(self.shown(self.store.task(new.task.cluster, id).await?).await?);
        }
        Ok(found)
    }
}

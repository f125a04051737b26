//! What an object was when a call was about to change it: noted first, so that a later attempt knows whether it did.

use claiflow_sdk::{
    Context, Error,
    kubernetes::{Api, Query, Scope},
    task,
};
use serde::{Deserialize, Serialize};

use claiflow_sdk::Applied;

/// A note that this plugin leaves. A call without one has not begun to change anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mark {
    /// The object was so.
    Seen(Seen),
    /// The plugin may not look, and went on all the same.
    Unseen,
}

/// By these an object is told from another of its name, and from itself changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) uid: String,
    pub(crate) resource_version: String,
}

/// What it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Now {
    /// There is none of this name.
    Gone,
    There {
        seen: Option<Seen>,
        /// It was asked to go, and waits for its finalizers or its pod's grace.
        is_going: bool,
    },
}

/// What an earlier attempt of this call noted, if it came that far.
pub(crate) fn noted(context: &Context) -> Option<Mark> {
    context.notes.iter().rev().find_map(|note| serde_json::from_value(note.clone()).ok())
}

/// What an earlier attempt noted or else, what there is now, noted.
///
/// # Errors
/// `not-found`, and what else there is no way around; the note's own. Nothing was changed.
pub(crate) fn before<T>(api: &Api<T>, name: &str, context: &Context) -> Result<Mark, Error> {
    if let Some(mark) = noted(context) {
        return Ok(mark);
    }
    let mark = match look_at(api, name) {
        Ok(There { metadata }) => metadata.seen().map_or(Mark::Unseen, Mark::Seen),
        Err(error) if error.code() == "denied" => Mark::Unseen,
        Err(error) => return Err(error),
    };
    task::note(&mark).map_err(|error| error.applied(Applied::No))?;
    Ok(mark)
}

/// # Errors
/// Where nobody says.
pub(crate) fn now<T>(api: &Api<T>, name: &str) -> Result<Now, Error> {
    match look_at(api, name) {
        Ok(There { metadata }) => {
            Ok(Now::There { is_going: metadata.deletion_timestamp.is_some(), seen: metadata.seen() })
        }
        Err(error) if error.status() == Some(404) => Ok(Now::Gone),
        Err(error) => Err(error),
    }
}

fn look_at<T>(api: &Api<T>, name: &str) -> Result<There, Error> {
    let scope = api.object(name)?.namespace.map_or(Scope::Cluster, Scope::Namespace);
    let query = Query::new().fields(["metadata.uid", "metadata.resourceVersion", "metadata.deletionTimestamp"]);
    Api::within(api.resource().clone(), scope).get_with(name, &query)
}

/// A read mask may leave nothing.
#[derive(Deserialize)]
struct There {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    uid: Option<String>,
    resource_version: Option<String>,
    deletion_timestamp: Option<String>,
}

impl Metadata {
    fn seen(self) -> Option<Seen> {
        Some(Seen { uid: self.uid?, resource_version: self.resource_version? })
    }
}

//! Several objects of one kind: what lists and watches have in common.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    grants::kubernetes::{Access, Allowed, Mask, Namespace, Request as Asked, Scope, Selectors, Visits},
    kubernetes::{Actor, Cluster, Failure, Search, Served},
    plugin::{
        bindings::claiflow::plugin::kubernetes::{ApiResource, Scope as SaidScope},
        state::CallState,
    },
};

use super::{
    call::{Made, served},
    options::{Several, fields, objects_only, scope},
};

/// What was asked for, kept to be authorised again.
pub(super) struct Wanted {
    pub(super) served: Arc<Served>,
    scope: Scope,
    selectors: Selectors,
    fields: Option<Mask>,
    metadata_only: bool,
}

impl CallState {
    pub(super) fn may_list(&self, wanted: &Wanted) -> Result<(Allowed, Actor), Failure> {
        let Wanted { served, scope, selectors, fields, .. } = wanted;
        let request = Asked::List { scope, selectors, fields: fields.as_ref() };
        self.authorise(&Access { kind: &served.kind, request })
    }

    pub(super) fn may_watch(&self, wanted: &Wanted) -> Result<(Allowed, Actor), Failure> {
        let Wanted { served, scope, selectors, fields, .. } = wanted;
        let request = Asked::Watch { scope, selectors, fields: fields.as_ref() };
        self.authorise(&Access { kind: &served.kind, request })
    }
}

/// Which objects of which kind, as far as words and discovery go.
pub(super) async fn wanted(
    cluster: &Cluster,
    made: &mut Made,
    resource: &ApiResource,
    said: &SaidScope,
    options: &Several,
    deadline: Instant,
) -> Result<Wanted, Failure> {
    let scope = scope(said)?;
    let (selectors, fields) = (options.selectors()?, fields(options.fields.clone())?);
    let served = served(cluster, made, resource, deadline).await?;
    objects_only(&served.kind)?;
    Ok(Wanted { served, scope, selectors, fields, metadata_only: options.metadata_only })
}

impl Wanted {
    pub(super) fn search(&self) -> Search {
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        Search {
            labels: text(self.selectors.labels_text()),
            fields: text(self.selectors.fields_text()),
            metadata_only: self.metadata_only,
        }
    }

    /// An object as the guest sees it; none: it may not know of it.
    pub(super) fn shown(&self, allowed: &Allowed, mut object: Value) -> Option<Value> {
        if let Value::Object(object) = &mut object {
            // The API leaves them out of a list's items.
            let kind = &self.served.kind;
            object.entry("apiVersion").or_insert_with(|| kind.api_version.as_str().into());
            object.entry("kind").or_insert_with(|| kind.kind.as_str().into());
        }
        let object = allowed.show(object)?;
        Some(match &self.fields {
            Some(fields) => allowed.project(object, fields),
            None => object,
        })
    }
}

/// Each place with a request of its own; none is the whole cluster.
pub(super) fn places(visits: &Visits) -> Result<Vec<Option<Namespace>>, Failure> {
    match visits {
        Visits::Cluster | Visits::All => Ok(vec![None]),
        Visits::Namespaces(names) => {
            let places = names.iter().map(|name| Namespace::new(name).map(Some));
            places.collect::<Result<_, _>>().map_err(super::call::invalid)
        }
    }
}

/// Whether a place is still one that the grant names.
pub(super) fn visited(visits: &Visits, place: Option<&Namespace>) -> bool {
    match (visits, place) {
        (Visits::Cluster, place) => place.is_none(),
        (Visits::All, _) => true,
        (Visits::Namespaces(names), Some(place)) => names.contains(place.as_str()),
        (Visits::Namespaces(_), None) => false,
    }
}

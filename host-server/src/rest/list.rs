//! Lists: filters, order and keyset pages, the same for every resource.

use std::str::FromStr;

use axum::{
    Json,
    extract::{FromRequestParts, OriginalUri},
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use chrono::DateTime;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::IntoParams;

use super::{
    fields::{fields, nearest, quoted},
    problem::Problem,
};
use crate::model::{
    list::Listing,
    people::{Caller, Scope},
    query::Filter,
};

const LIMIT_MAX: i64 = 1_000;

/// What every list takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Rows at most, 1 to 1000. The header `Link` then leads to the next page, if there is one.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000, example = 100)]
    limit: Option<String>,
    /// Where the page before ended; from its `Link` header.
    cursor: Option<String>,
    /// `asc` from the oldest to the newest, `desc` from the newest; templates: by uuid.
    #[param(example = "asc")]
    order: Option<String>,
}

/// The query of a list: a page and the filters `F`. Every parameter is known, and given once.
pub(super) struct List<F> {
    pub(super) filter: F,
    /// How far the caller reaches.
    pub(super) scope: Scope,
    page: Page,
    path: String,
    pairs: Vec<(String, String)>,
}

/// A page of rows, and in the header `Link` the way to the next one.
pub(super) type Rows<T> = (HeaderMap, Json<Vec<T>>);

impl<S: Send + Sync, F: DeserializeOwned> FromRequestParts<S> for List<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Self::known(parts, state, fields::<F>()).await
    }
}

/// The parameters of a query string, those without a value left out.
///
/// # Errors
/// Which parameter is unknown, and the nearest known one; which one is given twice.
pub(super) fn pairs(query: &str, known: &[&'static str]) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !known.contains(&name.as_ref()) {
            let nearest = nearest(&name, known.iter().copied());
            let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
            return Err(Problem::malformed(format!("the query parameter {} is unknown{hint}", quoted(&name))));
        }
        if pairs.iter().any(|(earlier, _)| *earlier == name) {
            return Err(Problem::malformed(format!("the query parameter `{name}` is given twice")));
        }
        if !value.is_empty() {
            pairs.push((name.into_owned(), value.into_owned()));
        }
    }
    Ok(pairs)
}

fn read<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, Problem> {
    let map = pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    serde_json::from_value(Value::Object(map)).map_err(|error| Problem::malformed(error.to_string()))
}

impl<F: DeserializeOwned> List<F> {
    async fn known<S: Send + Sync>(parts: &mut Parts, state: &S, known: &[&'static str]) -> Result<Self, Problem> {
        let path = match OriginalUri::from_request_parts(parts, state).await {
            Ok(OriginalUri(uri)) => uri.path().to_owned(),
            Err(never) => match never {},
        };
        let pairs = pairs(parts.uri.query().unwrap_or_default(), &[fields::<Page>(), known].concat())?;
        // Whoever was not recognised reaches nothing.
        let nothing = || Scope { clusters: Some(vec![]), templates: Some(vec![]) };
        let scope = parts.extensions.get::<Caller>().map_or_else(nothing, |caller| caller.scope.clone());
        Ok(Self { filter: read(&pairs)?, scope, page: read(&pairs)?, path, pairs })
    }

    /// A list that also takes the parameters `A`.
    pub(super) async fn with<A: DeserializeOwned>(
        parts: &mut Parts,
        state: &(impl Send + Sync),
    ) -> Result<Self, Problem> {
        Self::known(parts, state, &[fields::<A>(), fields::<F>()].concat()).await
    }
}

impl<F> List<F> {
    /// Other parameters of the same query.
    pub(super) fn also<A: DeserializeOwned>(&self) -> Result<A, Problem> {
        read(&self.pairs)
    }

    /// Whether the caller gave a parameter.
    pub(super) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(given, _)| given == name)
    }

    /// Rows that the caller asked for at most.
    pub(super) fn limit(&self) -> Result<Option<i64>, Problem> {
        let Some(text) = &self.page.limit else { return Ok(None) };
        match text.parse() {
            Ok(limit @ 1..=LIMIT_MAX) => Ok(Some(limit)),
            _ => Err(Problem::malformed(format!("`limit` is a number from 1 to {LIMIT_MAX}, not {}", quoted(text)))),
        }
    }

    /// Whether the largest key comes first.
    pub(super) fn is_descending(&self, default: bool) -> Result<bool, Problem> {
        match self.page.order.as_deref() {
            None => Ok(default),
            Some("asc") => Ok(false),
            Some("desc") => Ok(true),
            Some(other) => Err(Problem::malformed(format!("`order` is `asc` or `desc`, not {}", quoted(other)))),
        }
    }

    /// Where the page before ended.
    pub(super) fn after<K>(&self, parse: impl Fn(&str) -> Option<K>) -> Result<Option<K>, Problem> {
        let Some(text) = &self.page.cursor else { return Ok(None) };
        let key = parse(text);
        key.map(Some).ok_or_else(|| Problem::malformed("`cursor` is not one that a `Link` header gave".into()))
    }

    /// What the storage is asked for: one row more than the page, which tells whether another page follows.
    pub(super) fn listing<K: FromStr>(
        &self,
        equal: impl IntoIterator<Item = (&'static str, Option<String>)>,
        descending: bool,
    ) -> Result<Listing<K>, Problem> {
        Ok(Listing {
            equal: equal.into_iter().filter_map(|(column, value)| Some((column, value?))).collect(),
            filter: Filter::default(),
            order: vec![],
            offset: 0,
            after: self.after(|text| text.parse().ok())?,
            descending: self.is_descending(descending)?,
            limit: self.limit()?.map(|limit| limit + 1),
        })
    }

    /// The page, cut from what [`Self::listing`] asked for.
    pub(super) fn rows<R, T: From<R>>(&self, rows: Vec<R>, key: impl Fn(&R) -> String) -> Result<Rows<T>, Problem> {
        let limit = self.limit()?;
        let (headers, rows) = self.cut(rows, limit, key, &[]);
        Ok((headers, Json(rows.into_iter().map(T::from).collect())))
    }

    /// At most `limit` of the rows, and the link to the rest. `pinned` parameters hold for all further pages.
    pub(super) fn cut<R>(
        &self,
        mut rows: Vec<R>,
        limit: Option<i64>,
        key: impl Fn(&R) -> String,
        pinned: &[(&str, String)],
    ) -> (HeaderMap, Vec<R>) {
        let mut headers = HeaderMap::new();
        let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else { return (headers, rows) };
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        if let (true, Some(last)) = (has_more, rows.last()) {
            let place = [("limit", limit.to_string()), ("cursor", key(last))];
            let link = self.link(&["cursor", "limit"], &[pinned, &place].concat());
            headers.extend(HeaderValue::from_str(&link).ok().map(|link| (header::LINK, link)));
        }
        (headers, rows)
    }

    /// The same query, without the parameters `without`, with the parameters `with`.
    pub(super) fn link(&self, without: &[&str], with: &[(&str, String)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let is_new = |name: &str| without.contains(&name) || with.iter().any(|(new, _)| *new == name);
        query.extend_pairs(self.pairs.iter().filter(|(name, _)| !is_new(name)));
        query.extend_pairs(with);
        format!("<{}?{}>; rel=\"next\"", self.path, query.finish())
    }
}

/// A time of a filter, microseconds since 1970.
pub(super) fn moment(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(Some(time.timestamp_micros())),
        Err(_) => Err(Problem::malformed(format!(
            "`{name}` is a time such as 2026-11-23T09:51:46Z (a `+` is written %2B), not {}",
            quoted(text)
        ))),
    }
}

//! Lists that also speak the query language: `q`, `o` and `p` beside plain filters and pages by cursor.

use std::{fmt::Display, io, str::FromStr};

use axum::{
    body::{Body, Bytes},
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;

use super::{
    fields::quoted,
    list::{List, Rows, moment},
    problem::Problem,
};
use crate::{
    app,
    model::{
        list::Listing,
        query::{self, Comparison, Filter, Order, Pattern, Piece, Resource, Test, Value},
    },
};

/// Rows of a numbered page that says no limit.
const NUMBERED: i64 = 20;
/// Rows that a list without a limit reads at a time.
const CHUNK: i64 = 500;
/// Chunks that wait for a slow reader.
const WAITING: usize = 2;

/// What the query language adds to a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Query {
    /// Which rows, as JSON or as an S-expression: `EQ GT LT GTE LTE LIKE ISNULL IN BETWEEN AND OR NOT`, in any case, over the columns
    /// that `docs/lists.md` names. Texts compare without case; in a pattern `%` is any text, `_` one character, and a backslash takes
    /// that away. Holds beside the plain filters.
    #[param(example = r#"{"AND":[{"EQ":{"name":"a"}},{"LIKE":{"summary":"x%"}}]}"#)]
    q: Option<String>,
    /// In which order, as JSON: a direction (`ASC`, `DESC`) and its columns, or an array of such. Not together with `cursor` and `order`.
    #[param(example = r#"{"DESC":["created"]}"#)]
    o: Option<String>,
    /// Which page, as JSON: `limit` (20 when absent) and `page` from 1, whose product is at most 10000. Not together with `cursor`.
    #[param(example = r#"{"limit":10,"page":1}"#)]
    p: Option<String>,
}

/// The filters of a list that speaks the query language.
pub(super) trait Searched {
    /// Whose columns it names.
    const RESOURCE: Resource;
    /// Rows of a list without any limit; none is all.
    const PAGE: Option<i64> = None;
}

/// The query of such a list.
pub(super) struct Search<F> {
    pub(super) list: List<F>,
    /// Of `q`.
    filter: Filter,
    order: Vec<Order>,
    /// Of `p`; rows before the page, and rows of it.
    numbered: Option<Numbered>,
}

/// A page by its number.
#[derive(Clone, Copy, Debug)]
struct Numbered {
    page: i64,
    limit: i64,
    offset: i64,
}

impl<S: Send + Sync, F: DeserializeOwned + Searched> FromRequestParts<S> for Search<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let list = List::<F>::with::<Query>(parts, state).await?;
        let Query { q, o, p } = list.also()?;
        let wrong = |name: &str| {
            let name = name.to_owned();
            move |mistake: query::Mistake| Problem::malformed(format!("`{name}`, {mistake}"))
        };
        let filter = q.as_deref().map(|text| query::parse(F::RESOURCE, text)).transpose().map_err(wrong("q"))?;
        let order = o.as_deref().map(|text| query::order(F::RESOURCE, text)).transpose().map_err(wrong("o"))?;
        let paging = p.as_deref().map(query::paging).transpose().map_err(wrong("p"))?;
        let together = |one: &str, other: &str, instead: &str| {
            Err(Problem::malformed(format!("`{one}` and `{other}` cannot be given together: {instead}")))
        };
        if o.is_some() && list.has("order") {
            return together("o", "order", "`o` says the whole order");
        }
        for (name, is_given) in [("o", o.is_some()), ("p", p.is_some())] {
            if is_given && list.has("cursor") {
                return together(
                    name,
                    "cursor",
                    "a cursor goes on in the order of creation; pages of `p` go on by `page`",
                );
            }
        }
        if paging.is_some_and(|paging| paging.limit.is_some()) && list.has("limit") {
            return together("p", "limit", "say the limit once");
        }
        let limit = list.limit()?;
        let numbered: Option<Result<Numbered, Problem>> = paging.map(|paging| {
            let default = limit.or(F::PAGE).unwrap_or(NUMBERED);
            let offset = paging.offset(default).map_err(|message| Problem::malformed(format!("`p`: {message}")))?;
            Ok(Numbered { page: paging.page, limit: paging.limit.unwrap_or(default), offset })
        });
        let numbered: Option<Result<Numbered, Problem>> = match numbered {
            // A list in an order of its own has no cursor, so that its pages are numbered from the first one on.
            None if o.is_some() => limit.or(F::PAGE).map(|limit| Ok(Numbered { page: 1, limit, offset: 0 })),
            other => other,
        };
        Ok(Self {
            list,
            filter: filter.unwrap_or_default(),
            order: order.unwrap_or_default(),
            numbered: numbered.transpose()?,
        })
    }
}

impl<F: Searched> Search<F> {
    /// What holds for each row: `q`, these columns and what they equal, and the caller's scope.
    pub(super) fn filter(&self, equal: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Filter {
        let equal = equal.into_iter().filter_map(|(name, text)| {
            let column = F::RESOURCE.column(name)?;
            Some(Filter::compare(column, Comparison::Equal, Value::Text(column.normal(text?))))
        });
        let asked = equal.fold(Filter::default(), Filter::and).and(self.filter.clone());
        asked.and(F::RESOURCE.within(&self.list.scope))
    }

    /// Created between these times, both excluded.
    pub(super) fn created(&self, after: Option<&str>, before: Option<&str>) -> Result<Filter, Problem> {
        let ends = [
            (Comparison::Greater, moment("created_after", after)?),
            (Comparison::Less, moment("created_before", before)?),
        ];
        let ends = ends.into_iter().filter_map(|(comparison, us)| {
            Some(Filter::compare(F::RESOURCE.column("created")?, comparison, Value::Integer(us?)))
        });
        Ok(Filter::All(ends.collect()))
    }

    /// With all of these labels, such as `region=eu,tier=prod`.
    pub(super) fn labelled(&self, labels: Option<&str>) -> Result<Filter, Problem> {
        let (Some(labels), Some(column)) = (labels, F::RESOURCE.column("labels")) else { return Ok(Filter::default()) };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
        let parts = labels.split(',').map(|label| match label.split_once('=') {
            // No label holds a quote, so its text stands in the JSON of a resource that has it, and nowhere else.
            Some((name, value)) if !name.is_empty() && plain(name) && plain(value) => {
                let text = format!("\"{name}\":\"{value}\"");
                let within = text.chars().map(Piece::Char);
                Ok(Filter::Is(
                    column,
                    Test::Like(Pattern([Piece::Any].into_iter().chain(within).chain([Piece::Any]).collect())),
                ))
            }
            _ => Err(Problem::malformed(format!(
                "`labels` are names and values of A-Z a-z 0-9 - _ . / such as region=eu,tier=prod, not {}",
                quoted(label)
            ))),
        });
        parts.collect::<Result<_, _>>().map(Filter::All)
    }

    /// What comes before the key in the order.
    pub(super) fn order(&self) -> &[Order] {
        &self.order
    }

    /// Rows before the page, and rows of it, where pages are numbered.
    pub(super) fn numbered(&self) -> Option<(i64, i64)> {
        self.numbered.map(|numbered| (numbered.offset, numbered.limit))
    }

    /// At most a page of the rows, and the link to the next one. `limit`: of a page without a number.
    pub(super) fn cut<R>(
        &self,
        mut rows: Vec<R>,
        limit: Option<i64>,
        key: impl Fn(&R) -> String,
        pinned: &[(&str, String)],
    ) -> (HeaderMap, Vec<R>) {
        let Some(Numbered { page, limit, .. }) = self.numbered else { return self.list.cut(rows, limit, key, pinned) };
        let length = usize::try_from(limit).unwrap_or_default();
        let has_more = rows.len() > length;
        rows.truncate(length);
        let mut headers = HeaderMap::new();
        let next = query::Paging { limit: Some(limit), page: page + 1 };
        if has_more && next.offset(limit).is_ok() {
            let page = format!("{{\"limit\":{limit},\"page\":{}}}", page + 1);
            let pinned = [pinned, &[("p", page)]].concat();
            let link = self.list.link(&["limit", "p"], &pinned);
            headers.extend(HeaderValue::from_str(&link).ok().map(|link| (header::LINK, link)));
        }
        (headers, rows)
    }

    /// A page of a resource; without any limit all of its rows, read and sent piece by piece. `fetch` reads a listing, `key` is a
    /// row's place in it, `descending` the order of keys where the caller says none.
    pub(super) async fn answer<K, R, T, Read>(
        &self,
        filter: Filter,
        descending: bool,
        fetch: impl Fn(Listing<K>) -> Read + Send + Sync + 'static,
        key: fn(&R) -> K,
    ) -> Result<Listed<T>, Problem>
    where
        K: FromStr + Display + Clone + Send + Sync + 'static,
        R: Send + 'static,
        T: From<R> + Serialize + Send + 'static,
        Read: Future<Output = Result<Vec<R>, app::Error>> + Send,
    {
        let (offset, limit) = match self.numbered {
            Some(Numbered { offset, limit, .. }) => (offset, Some(limit)),
            None => (0, self.list.limit()?),
        };
        let flows = limit.is_none() && self.order.is_empty();
        let mut listing = Listing {
            equal: vec![],
            filter,
            order: self.order.clone(),
            after: self.list.after(|text| text.parse().ok())?,
            descending: self.list.is_descending(descending)?,
            limit: if flows { Some(CHUNK) } else { limit.map(|limit| limit + 1) },
            offset,
        };
        let rows = fetch(listing.clone()).await?;
        let is_whole = !flows || i64::try_from(rows.len()).is_ok_and(|read| read < CHUNK);
        if is_whole {
            let (headers, rows) = self.cut(rows, limit, |row| key(row).to_string(), &[]);
            return Ok(Listed::Whole((headers, axum::Json(rows.into_iter().map(T::from).collect()))));
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let mut rows = rows;
            let mut opening = b'[';
            loop {
                listing.after = rows.last().map(key);
                let is_last = i64::try_from(rows.len()).is_ok_and(|read| read < CHUNK);
                let piece = piece::<T>(rows.into_iter().map(T::from), opening, is_last);
                let failed = piece.is_err();
                if sender.send(piece).await.is_err() || is_last || failed {
                    return;
                }
                opening = b',';
                rows = match fetch(listing.clone()).await {
                    Ok(rows) => rows,
                    Err(error) => {
                        tracing::error!(error = %error, "a list broke off");
                        // The answer has begun, so all that can be told is that it is not whole.
                        let _ = sender.send(Err(io::Error::other("the list broke off"))).await;
                        return;
                    }
                };
            }
        });
        Ok(Listed::Flowing(Body::from_stream(ReceiverStream::new(receiver))))
    }
}

/// Rows as a part of a JSON array.
fn piece<T: Serialize>(rows: impl Iterator<Item = T>, opening: u8, is_last: bool) -> Result<Bytes, io::Error> {
    let mut text = Vec::new();
    let mut before = opening;
    for row in rows {
        text.push(before);
        serde_json::to_writer(&mut text, &row)?;
        before = b',';
    }
    if is_last {
        text.push(b']');
    }
    Ok(text.into())
}

/// A list's answer.
pub(super) enum Listed<T> {
    /// A page, or few rows.
    Whole(Rows<T>),
    /// Rows that are read while they are sent.
    Flowing(Body),
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Whole(rows) => rows.into_response(),
            Self::Flowing(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        }
    }
}

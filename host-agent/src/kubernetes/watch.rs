//! Watches: what becomes of objects, for as long as somebody asks. A stream that the API server closes is opened again from
//! where it was, and dropping the watch closes it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::select_all;
use kube::api::WatchParams;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    Actor, Cluster, Error, Event, EventType, Failure, Request, Search,
    body::Unread,
    events::{Line, Lines, read, version},
};
use crate::grants::kubernetes::{Kind, Namespace};

/// Namespaces of one watch: each is a connection.
const PLACES_MAX: usize = 32;
/// The API server ends a watch after this time at the latest; it is then opened again.
const STREAM_MAX: Duration = Duration::from_secs(290);
/// So often in a row a stream may be closed before anything came.
const FRUITLESS_MAX: u32 = 5;
const AGAIN_FIRST: Duration = Duration::from_millis(100);
/// What is handed over at once.
const BATCH_MAX_BYTES: usize = 512 << 10;

/// A watch over one place or several.
pub struct Watch {
    kind: Kind,
    search: Search,
    streams: Vec<Stream>,
}

/// One place.
struct Stream {
    place: Option<Namespace>,
    /// Where it began.
    from: String,
    /// Where it may go on; none while the objects that were there at the beginning may not all have come.
    resume: Option<String>,
    lines: Option<Lines>,
    fruitless: u32,
    not_before: Instant,
}

impl Watch {
    /// Opens it. An empty `from` begins with the objects that are there, each as added.
    ///
    /// # Errors
    /// `gone` where `from` is too old; `invalid` for too many places.
    pub async fn open(
        cluster: &Cluster,
        actor: &Actor,
        kind: Kind,
        places: impl IntoIterator<Item = Option<Namespace>>,
        search: Search,
        from: &str,
        deadline: Instant,
    ) -> Result<Self, Error> {
        // Version 0 is any: like none, it begins with what is there.
        let resume = Some(from.to_owned()).filter(|from| !from.is_empty() && from != "0");
        let stream = |place| Stream {
            place,
            from: from.to_owned(),
            resume: resume.clone(),
            lines: None,
            fruitless: 0,
            not_before: Instant::now(),
        };
        let mut streams: Vec<Stream> = places.into_iter().map(stream).collect();
        if streams.len() > PLACES_MAX {
            let message = format!("a watch goes over at most {PLACES_MAX} namespaces, not {}", streams.len());
            return Err(Failure::new("invalid", message).into());
        }
        for stream in &mut streams {
            stream.open(cluster, actor, &kind, &search, deadline).await?;
        }
        Ok(Self { kind, search, streams })
    }

    /// Leaves out the places that are not wanted any more.
    pub fn retain(&mut self, wanted: impl Fn(Option<&Namespace>) -> bool) {
        self.streams.retain(|stream| wanted(stream.place.as_ref()));
    }

    /// What came; empty when nothing came until then. Nothing is lost where the future is dropped.
    ///
    /// # Errors
    /// `gone` where the API server does not know any more what came since: list, or watch anew. `unavailable` where it
    /// keeps closing the watch.
    pub async fn next(&mut self, cluster: &Cluster, actor: &Actor, until: Instant) -> Result<Vec<Event>, Error> {
        let (kind, search) = (&self.kind, &self.search);
        let waiting: Vec<_> = self
            .streams
            .iter_mut()
            .map(|stream| Box::pin(async move { stream.next(cluster, actor, kind, search).await }))
            .collect();
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let first = match timeout_at(until, select_all(waiting)).await {
            Err(_) => return Ok(Vec::new()),
            Ok((first, _, _)) => first?,
        };
        let mut events = vec![first.event];
        let mut bytes = first.bytes;
        for stream in &mut self.streams {
            while bytes < BATCH_MAX_BYTES
                && let Some(line) = stream.lines.as_mut().and_then(Lines::ready)
            {
                bytes += line.len();
                events.extend(stream.take(&line)?);
            }
        }
        Ok(events)
    }

    /// Bytes that wait here.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.streams.iter().filter_map(|stream| stream.lines.as_ref()).map(Lines::held).sum()
    }
}

struct First {
    event: Event,
    bytes: usize,
}

impl Stream {
    async fn open(
        &mut self,
        cluster: &Cluster,
        actor: &Actor,
        kind: &Kind,
        search: &Search,
        deadline: Instant,
    ) -> Result<(), Error> {
        let params = WatchParams {
            label_selector: search.labels.clone(),
            field_selector: search.fields.clone(),
            timeout: u32::try_from(STREAM_MAX.as_secs()).ok(),
            bookmarks: true,
            send_initial_events: false,
        };
        let from = self.resume.as_deref().unwrap_or(&self.from);
        let request = Request::watch(kind, self.place.as_ref(), &params, from, search.metadata_only)?;
        self.lines = Some(Lines::of(cluster.stream(actor, &request, deadline).await?));
        Ok(())
    }

    async fn next(&mut self, cluster: &Cluster, actor: &Actor, kind: &Kind, search: &Search) -> Result<First, Error> {
        loop {
            let Some(lines) = &mut self.lines else {
                sleep_until(self.not_before).await;
                self.open(cluster, actor, kind, search, Instant::now() + STREAM_MAX).await?;
                continue;
            };
            let why = match lines.next().await {
                Ok(Some(line)) => {
                    if let Some(event) = self.take(&line)? {
                        return Ok(First { event, bytes: line.len() });
                    }
                    continue;
                }
                Ok(None) => "it was closed".to_owned(),
                Err(Unread::Broken(why)) => why,
                Err(Unread::TooLarge(most)) => return Err(super::send::too_large(most, super::Effect::None)),
            };
            self.closed(&why)?;
        }
    }

    /// One line, which may be no event.
    fn take(&mut self, line: &Bytes) -> Result<Option<Event>, Error> {
        self.fruitless = 0;
        match read(line)? {
            Line::Bookmark(version) if version.is_empty() => Ok(None),
            Line::Bookmark(version) => {
                self.resume = Some(version);
                Ok(None)
            }
            Line::Event(event) => {
                // At the beginning all that is there comes as added, in no order: only a change says that this is over.
                if self.resume.is_some() || event.event != EventType::Added {
                    self.resume = version(&event.object).map(ToOwned::to_owned).or(self.resume.take());
                }
                Ok(Some(event))
            }
        }
    }

    /// The stream ended; it is opened again unless that cannot help.
    fn closed(&mut self, why: &str) -> Result<(), Error> {
        self.lines = None;
        if self.resume.is_none() {
            let message = format!("the watch ended before it was known from where it can go on ({why}); watch anew");
            return Err(Failure::new("gone", message).into());
        }
        if self.fruitless >= FRUITLESS_MAX {
            let message = format!("the API server ended the watch {FRUITLESS_MAX} times in a row ({why})");
            return Err(Failure::new("unavailable", message).into());
        }
        self.not_before = Instant::now() + AGAIN_FIRST * 2_u32.pow(self.fruitless);
        self.fruitless += 1;
        Ok(())
    }
}

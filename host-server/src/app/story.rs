//! What happens to a task, as it happens: statuses, steps and lines, in one stream that ends with the task.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{App, Error, service::Shown};
use crate::model::{
    log::{LogListing, LogRow},
    state::State,
    statuses::{StatusRow, rows},
    step::{RECORDED, StepRow},
};

/// Between two looks at the database: another replica may be the one that the agent reports to.
const LOOK: Duration = Duration::from_millis(250);
/// Lines of one look.
const LINES: i64 = 500;
/// Things that wait for a slow reader.
const QUEUE: usize = 64;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Told {
    /// A row of the task's statuses.
    Status(StatusRow),
    /// A step began or ended.
    Step(StepRow),
    /// A command said something.
    Line(LogRow),
    /// The task is final, or is gone: nothing more will be told.
    End(&'static str),
}

/// How far a reader has come; it can go on from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Statuses told.
    pub statuses: usize,
    /// The last line told.
    pub line: i64,
}

impl Mark {
    /// As [`std::fmt::Display`] wrote it; anything else is the beginning.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let parts =
            text.split_once('.').and_then(|(statuses, line)| Some((statuses.parse().ok()?, line.parse().ok()?)));
        parts.map(|(statuses, line)| Self { statuses, line }).unwrap_or_default()
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.statuses, self.line)
    }
}

impl App {
    /// A page of what the commands of a task said.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn lines(&self, cluster: &str, uuid: &str, listing: &LogListing) -> Result<Vec<LogRow>, Error> {
        let view = self.task(cluster, uuid).await?.view;
        Ok(self.store.lines(&view.id, view.cluster, listing).await?)
    }

    /// Tells what happens to a task, from a mark on, until it is final, the reader goes, or the server stops.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn story(&self, cluster: &str, uuid: &str, mark: Mark) -> Result<mpsc::Receiver<(Mark, Told)>, Error> {
        let shown = self.task(cluster, uuid).await?;
        let (told, reader) = mpsc::channel(QUEUE);
        let (app, names) = (self.clone(), (cluster.to_owned(), uuid.to_owned()));
        tokio::spawn(async move {
            let stopped = app.dispatch.stopped();
            tokio::select! {
                biased;
                () = stopped => {}
                () = app.tell(names, shown, mark, told) => {}
            }
        });
        Ok(reader)
    }

    async fn tell(
        &self,
        (cluster, uuid): (String, String),
        first: Shown,
        mut mark: Mark,
        told: mpsc::Sender<(Mark, Told)>,
    ) {
        let (mut shown, mut steps, mut was_final) = (first, Vec::new(), false);
        loop {
            let mut news = Vec::new();
            for step in shown.steps.iter().filter(|step| step.state != RECORDED && !steps.contains(*step)) {
                news.push((mark, Told::Step(step.clone())));
            }
            steps = shown.steps.clone();
            let listing = LogListing { after: mark.line, path: None, limit: LINES };
            let lines = self.store.lines(&shown.view.id, shown.view.cluster, &listing).await.unwrap_or_else(|error| {
                tracing::debug!(error = &error as &dyn std::error::Error, "a story waits for the database");
                vec![]
            });
            let is_behind = i64::try_from(lines.len()).unwrap_or(LINES) == LINES;
            for line in lines {
                mark.line = line.seq;
                news.push((mark, Told::Line(line)));
            }
            for status in rows(&shown.view, &shown.steps).into_iter().skip(mark.statuses) {
                mark.statuses += 1;
                news.push((mark, Told::Status(status)));
            }
            let state = State::of(shown.view.state);
            // The last lines are kept a moment after the end that they came before.
            if was_final && !is_behind {
                news.push((mark, Told::End(state.word())));
            }
            was_final = state.is_final();
            for one in news {
                let is_end = matches!(one.1, Told::End(_));
                if told.send(one).await.is_err() || is_end {
                    return;
                }
            }
            tokio::select! { () = tokio::time::sleep(LOOK) => {}, () = told.closed() => return }
            match self.task(&cluster, &uuid).await {
                Ok(newer) => shown = newer,
                Err(Error::NotFound(_)) => {
                    // A reader that goes away does not need to be told.
                    let _ = told.send((mark, Told::End("gone"))).await;
                    return;
                }
                // It is looked at again, until the reader goes.
                Err(error) => tracing::debug!(%error, "a story waits for the database"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_anything_else_is_the_beginning() {
        let mark = Mark { statuses: 3, line: 460_000_000_000_000_001 };
        assert_eq!(Mark::of(&mark.to_string()), mark);
        for text in ["", "3", "a.b", "-1.2", "1.2.3"] {
            assert_eq!(Mark::of(text), Mark::default(), "{text}");
        }
    }
}

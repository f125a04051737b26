//! A cluster with a tape behind it.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use super::{Ear, Executed, Gave, Player, Recorder, Tape, Told, player::unfit, recorder::failed};
use crate::{
    grants::kubernetes::Access,
    kubernetes::{
        Actor, Catalogue, Cluster, Error, ExecOptions, Execution, OpenError, Piece, Request, Served, body::Incoming,
        send::too_large,
    },
};

impl Cluster {
    /// The same cluster, with everything written down.
    #[must_use]
    pub fn recorded(&self, recorder: &Arc<Recorder>) -> Arc<Self> {
        let mut recorded = Self::over(self.own.clone(), self.anonymous.clone(), self.namespace.clone());
        recorded.tape = Some(Tape::Recorder(Arc::clone(recorder)));
        Arc::new(recorded)
    }

    /// A recording in the place of a cluster: nothing is ever sent. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When this machine can make no HTTP client.
    pub fn played(player: &Arc<Player>, namespace: String) -> Result<Arc<Self>, OpenError> {
        let nowhere = Self::nowhere()?;
        let mut played = Self::over(nowhere.clone(), nowhere, namespace);
        played.tape = Some(Tape::Player(Arc::clone(player)));
        Ok(Arc::new(played))
    }

    /// What a plugin was allowed to ask; whoever records needs to know who asks.
    pub fn judged(&self, access: &Access<'_>) {
        if let Some(Tape::Recorder(recorder)) = &self.tape {
            recorder.judged(access);
        }
    }

    /// Which kind was looked up, or told of.
    pub fn found(&self, served: &Served) {
        if let Some(Tape::Recorder(recorder)) = &self.tape {
            recorder.found(served);
        }
    }

    /// The kinds that a recording knows; none: ask the API server.
    pub(in crate::kubernetes) fn played_kinds(&self) -> Option<Catalogue> {
        match &self.tape {
            Some(Tape::Player(player)) => Some(Catalogue::of(player.kinds())),
            _ => None,
        }
    }
}

impl Tape {
    /// A whole answer.
    pub(in crate::kubernetes) async fn whole(
        &self,
        cluster: &Cluster,
        actor: &Actor,
        request: &Request,
        most: usize,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        match self {
            Self::Recorder(recorder) => {
                let answer = cluster.whole(actor, request, request.safety(), most, deadline).await;
                let told = Told::of(request);
                if let Ok(body) = serde_json::from_slice(request.http.body()) {
                    recorder.without_secrets(body, told.is_of_secrets());
                }
                let gave = match &answer {
                    Ok(bytes) => {
                        let value = serde_json::from_slice(bytes)
                            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes)));
                        Gave::Answer(recorder.without_secrets(value, told.is_of_secrets()))
                    }
                    Err(error) => failed(error),
                };
                recorder.hear(told, gave);
                answer
            }
            Self::Player(player) => match player.play(request)? {
                Gave::Answer(value) => {
                    let bytes = Bytes::from(value.to_string());
                    if bytes.len() > most { Err(too_large(most, request.answered())) } else { Ok(bytes) }
                }
                _ => Err(unfit(request)),
            },
        }
    }

    /// A watch's lines, or a log.
    pub(in crate::kubernetes) async fn stream(
        &self,
        cluster: &Cluster,
        actor: &Actor,
        request: &Request,
        deadline: Instant,
    ) -> Result<Incoming, Error> {
        match self {
            Self::Recorder(recorder) => {
                let opened = cluster.direct_stream(actor, request, deadline).await;
                let told = Told::of(request);
                let gave = match &opened {
                    Ok(_) if told.verb == "watch" => Gave::Events { lines: Vec::new(), ended: false },
                    Ok(_) => Gave::Log { text: String::new(), ended: false },
                    Err(error) => failed(error),
                };
                let index = recorder.hear(told, gave);
                opened.map(|body| Incoming::heard(body, Ear::new(recorder, index)))
            }
            Self::Player(player) => match player.play(request)? {
                Gave::Events { lines, ended } => {
                    let lines = lines.iter().map(|line| Bytes::from(format!("{line}\n"))).collect();
                    Ok(Incoming::played(lines, ended))
                }
                Gave::Log { text, ended } => Ok(Incoming::played(VecDeque::from([Bytes::from(text)]), ended)),
                _ => Err(unfit(request)),
            },
        }
    }

    /// A command in a container.
    pub(in crate::kubernetes) async fn exec(
        &self,
        cluster: &Cluster,
        actor: &Actor,
        request: &Request,
        options: ExecOptions,
        deadline: Instant,
    ) -> Result<Execution, Error> {
        match self {
            Self::Recorder(recorder) => {
                let started = cluster.direct_exec(actor, request, options, deadline).await;
                let gave = started.as_ref().map_or_else(failed, |_| Gave::Executed(Executed::default()));
                let index = recorder.hear(Told::of(request), gave);
                started.map(|execution| execution.heard(Ear::new(recorder, index)))
            }
            Self::Player(player) => match player.play(request)? {
                Gave::Executed(Executed { output, status, .. }) => {
                    let pieces = output
                        .into_iter()
                        .flatten()
                        .map(|(stream, text)| Piece { is_error: stream == "stderr", data: Bytes::from(text) });
                    Ok(Execution::played(pieces.collect(), status, options))
                }
                _ => Err(unfit(request)),
            },
        }
    }
}

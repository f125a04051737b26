//! Keeps what a port serves equal to its files. Files are looked at, not watched: whoever replaces them, a person, a renewal or
//! a kubelet that swaps `..data`, they have other contents then. What cannot be served changes nothing.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Files,
    certificate::{Served, Texts, shown},
    validity::Validity,
};
use crate::{
    metrics::ports::{Counted, Reload},
    model::ids::Source,
};

/// Between two looks. New contents count at the second look, since files that belong together are written one after the other.
const LOOK: Duration = Duration::from_secs(1);

/// What a port says in TLS: the newest files that were good.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: Files,
    source: Source,
    counted: Counted,
    served: Mutex<(Arc<ServerConfig>, Validity)>,
    /// Of the contents that are served.
    digest: [u8; 32],
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Error`] with the file and what is wrong with it.
    pub async fn open(files: Files, source: Source, counted: Counted) -> Result<Self, Error> {
        let texts = read(&files).await?;
        let Served { config, validity } = files.serve(&texts, source.now_us() / 1_000_000)?;
        counted.expires(validity.until_s);
        let digest = texts.digest();
        Ok(Self(Arc::new(Inner { files, source, counted, served: Mutex::new((config, validity)), digest })))
    }

    /// For one handshake.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.served.lock().0))
    }

    /// Looks at the files until `stop`, and at once on SIGHUP: from here on, it ends the process no more.
    pub(super) fn follow(&self, stop: CancellationToken) {
        let asked = match signal(SignalKind::hangup()) {
            Ok(asked) => asked,
            Err(error) => {
                tracing::error!(%error, "SIGHUP cannot be listened to");
                return;
            }
        };
        let tls = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tls.look(asked) => {}
            }
        });
    }

    async fn look(&self, mut asked: Signal) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was judged last, and what was seen last.
        let (mut judged, mut seen) = (Contents::Read(self.0.digest), None);
        let mut told_of_end = false;
        loop {
            let is_asked = tokio::select! {
                _ = looks.tick() => false,
                _ = asked.recv() => true,
            };
            told_of_end = self.tell_of_end(told_of_end);
            let texts = read(&self.0.files).await;
            let contents = Contents::of(&texts);
            let is_settled = seen.replace(contents.clone()).is_some_and(|seen| seen == contents);
            if !is_asked && (contents == judged || !is_settled) {
                continue;
            }
            judged = contents;
            self.judge(texts);
        }
    }

    fn judge(&self, texts: Result<Texts, Error>) {
        let Inner { files, source, counted, served, .. } = &*self.0;
        match texts.and_then(|texts| files.serve(&texts, source.now_us() / 1_000_000)) {
            Ok(Served { config, validity }) => {
                *served.lock() = (config, validity);
                counted.expires(validity.until_s);
                counted.reloaded(Reload::Taken);
                tracing::info!(
                    port = counted.port(),
                    certificate.file = %files.cert.display(),
                    certificate.expires = shown(validity.until_s),
                    "the certificate was read anew"
                );
            }
            Err(error) => {
                counted.reloaded(Reload::Refused);
                tracing::error!(
                    port = counted.port(),
                    %error,
                    certificate.expires = shown(served.lock().1.until_s),
                    "new certificate files cannot be served; the last good ones still are"
                );
            }
        }
    }

    /// Says once that what is served has expired; whether it was said.
    fn tell_of_end(&self, was_told: bool) -> bool {
        let until_s = self.0.served.lock().1.until_s;
        let is_over = until_s < self.0.source.now_us() / 1_000_000;
        if is_over && !was_told {
            tracing::error!(
                port = self.0.counted.port(),
                certificate.file = %self.0.files.cert.display(),
                certificate.expires = shown(until_s),
                "the certificate has expired: clients refuse it; put a new one into its file"
            );
        }
        is_over
    }
}

/// What files hold, so far as it tells them apart.
#[derive(Clone, PartialEq, Eq)]
enum Contents {
    Read([u8; 32]),
    Unread(String),
}

impl Contents {
    fn of(texts: &Result<Texts, Error>) -> Self {
        match texts {
            Ok(texts) => Self::Read(texts.digest()),
            Err(error) => Self::Unread(error.to_string()),
        }
    }
}

async fn read(files: &Files) -> Result<Texts, Error> {
    let (cert, files) = (files.cert.clone(), files.clone());
    let read = spawn_blocking(move || files.read()).await;
    read.unwrap_or_else(|error| Err(Error::new(&cert, format!("it was not read: {error}"))))
}

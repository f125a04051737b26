//! A webhook's receiver that does not always answer: it keeps which messages came, in which order.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// A sender that says nothing for longer is gone.
const PATIENCE: Duration = Duration::from_secs(10);
const HEADER: &str = "webhook-id:";
const LENGTH: &str = "content-length:";

pub(super) struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Every so manyth message is taken, and not answered.
    pub(super) fn start(unanswered: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (got, stop) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (kept, stopped) = (Arc::clone(&got), Arc::clone(&stop));
        let accept = move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), kept) = (stream, Arc::clone(&kept)) else { continue };
                thread::spawn(move || {
                    // A sender that dies in the middle has not sent anything.
                    drop(take(&stream, &kept, unanswered));
                });
            }
        };
        let thread = thread::Builder::new().name("receiver".into()).spawn(accept)?;
        Ok(Self { address, got, stop, thread: Some(thread) })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The ids of all messages that came, in their order.
    pub(super) fn got(&self) -> Vec<String> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn take(stream: &TcpStream, kept: &Mutex<Vec<String>>, unanswered: usize) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (None, 0_u64);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix(HEADER) {
            id = Some(value.trim().to_owned());
        } else if let Some(value) = line.strip_prefix(LENGTH) {
            length = value.trim().parse()?;
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let id = id.filter(|_| body.len() as u64 == length).context("no message")?;
    let count = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(id);
        kept.len()
    };
    if count % unanswered != 0 {
        let mut writer = stream;
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    }
    Ok(())
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // So that it looks.
        drop(TcpStream::connect(self.address));
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the receiver panicked");
        }
    }
}

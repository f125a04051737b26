//! WASI over nothing: no files, no addresses, no variables, no arguments. What a guest prints is a log line.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    WasiCtx, WasiCtxBuilder,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, StreamResult},
};

use super::lines::Lines;
use crate::executor::commands::LogLevel;

const RANDOM_MAX_BYTES: u64 = 64 << 10;
const LINE_MAX_BYTES: usize = 8 << 10;
const WRITE_MAX_BYTES: usize = 64 << 10;

/// A context in which everything that WASI could reach is absent.
pub(crate) fn wasi(lines: &Arc<Lines>) -> WasiCtx {
    WasiCtxBuilder::new()
        .max_random_size(RANDOM_MAX_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .stdout(Printed::new(lines, LogLevel::Info))
        .stderr(Printed::new(lines, LogLevel::Warn))
        .build()
}

/// One standard stream; its copies share the line that is not ended yet.
#[derive(Clone)]
struct Printed(Arc<Printing>);

struct Printing {
    lines: Arc<Lines>,
    level: LogLevel,
    pending: Mutex<Vec<u8>>,
}

impl Printed {
    fn new(lines: &Arc<Lines>, level: LogLevel) -> Self {
        Self(Arc::new(Printing { lines: lines.clone(), level, pending: Mutex::new(Vec::new()) }))
    }

    fn take(&self, bytes: &[u8]) {
        let mut pending = self.0.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            for part in text.chunks(LINE_MAX_BYTES) {
                if pending.len() + part.len() > LINE_MAX_BYTES {
                    self.0.write(&mut pending);
                }
                pending.extend_from_slice(part);
            }
            if ended {
                self.0.write(&mut pending);
            }
        }
    }
}

impl Printing {
    fn write(&self, pending: &mut Vec<u8>) {
        self.lines.write(self.level, &String::from_utf8_lossy(pending), &[]);
        pending.clear();
    }
}

impl Drop for Printing {
    fn drop(&mut self) {
        let mut pending = std::mem::take(self.pending.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !pending.is_empty() {
            self.write(&mut pending);
        }
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_MAX_BYTES {
            return Err(StreamError::trap("more bytes were written than were offered"));
        }
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_MAX_BYTES)
    }
}

//! A load generator that costs little: keep-alive connections, one thread each, and no more HTTP than the server's answers
//! need. What it costs is taken from the same cores as what it measures.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, bail};

/// One keep-alive connection.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    /// What each request says beside its own.
    headers: String,
}

impl Connection {
    /// `bearer`: what a caller shows who must say who they are.
    pub(super) fn open(port: u16, bearer: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let who = bearer.map(|bearer| format!("authorization: Bearer {bearer}\r\n")).unwrap_or_default();
        Ok(Self { stream: BufReader::new(stream), headers: format!("host: 127.0.0.1:{port}\r\n{who}") })
    }

    /// Sends a request; the status and the body of its answer.
    pub(super) fn call(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, Vec<u8>)> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.headers,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("not an HTTP answer: {line:?}"))?;
        let mut length = None;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok();
            }
        }
        let mut body = vec![0; length.context("an answer without content-length")?];
        self.stream.read_exact(&mut body)?;
        Ok((status, body))
    }

    /// A call that must be answered with 200.
    pub(super) fn ok(&mut self, method: &str, path: &str, body: &str) -> Result<Vec<u8>> {
        match self.call(method, path, body)? {
            (200, answer) => Ok(answer),
            (status, answer) => bail!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer)),
        }
    }
}

/// Sends `total` requests over `connections`; the milliseconds that each took.
pub(super) fn run(
    port: u16,
    connections: usize,
    total: usize,
    bearer: Option<&str>,
    request: &(dyn Fn(usize) -> (&'static str, String, String) + Sync),
) -> Result<Vec<f64>> {
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<f64>> {
        let mut connection = Connection::open(port, bearer)?;
        let mut times = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= total {
                return Ok(times);
            }
            let (method, path, body) = request(number);
            let started = Instant::now();
            connection.ok(method, &path, &body)?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..connections).map(|_| scope.spawn(worker)).collect();
        let mut all = Vec::with_capacity(total);
        for worker in workers {
            all.extend(worker.join().map_err(|_| anyhow!("a connection's thread panicked"))??);
        }
        Ok(all)
    })
}

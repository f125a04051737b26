//! A load generator that costs little: keep-alive connections on one thread, and no more HTTP than the server's answers need. What it
//! costs is taken from the same cores as what it measures.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};

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
        self.ask(method, path, body)?;
        self.answer()
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<()> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.headers,
            body.len()
        );
        Ok(self.stream.get_mut().write_all(request.as_bytes())?)
    }

    fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
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

/// Sends `total` requests over `connections`, one at a time on each; the milliseconds that each took.
pub(super) fn run(
    port: u16,
    connections: usize,
    total: usize,
    bearer: Option<&str>,
    request: &dyn Fn(usize) -> (&'static str, String, String),
) -> Result<Vec<f64>> {
    let mut numbers = 0..total;
    let mut begin = |connection: &mut Connection| -> Result<Option<Instant>> {
        let Some(number) = numbers.next() else { return Ok(None) };
        let (method, path, body) = request(number);
        let began = Instant::now();
        connection.ask(method, &path, &body)?;
        Ok(Some(began))
    };
    // Each with when its request was sent.
    let mut asked = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut connection = Connection::open(port, bearer)?;
        asked.extend(begin(&mut connection)?.map(|began| (connection, began)));
    }
    let mut times = Vec::with_capacity(total);
    while !asked.is_empty() {
        let answered = answered(&asked)?;
        let mut going_on = Vec::with_capacity(asked.len());
        for ((mut connection, began), is_answered) in asked.into_iter().zip(answered) {
            if !is_answered {
                going_on.push((connection, began));
                continue;
            }
            match connection.answer()? {
                (200, _) => times.push(began.elapsed().as_secs_f64() * 1e3),
                (status, answer) => bail!("a request was answered {status} {}", String::from_utf8_lossy(&answer)),
            }
            going_on.extend(begin(&mut connection)?.map(|began| (connection, began)));
        }
        asked = going_on;
    }
    Ok(times)
}

/// Waits until one of them is answered; which ones are.
fn answered(asked: &[(Connection, Instant)]) -> Result<Vec<bool>> {
    let mut polled: Vec<_> =
        asked.iter().map(|(connection, _)| PollFd::new(connection.stream.get_ref(), PollFlags::IN)).collect();
    rustix::io::retry_on_intr(|| poll(&mut polled, None))?;
    Ok(polled.iter().map(|one| !one.revents().is_empty()).collect())
}

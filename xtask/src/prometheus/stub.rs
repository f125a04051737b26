//! What people take for a Prometheus: a server on loopback that answers as a path's first segment says.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use anyhow::Result;

/// Listens until the program ends.
pub(super) struct Stub {
    /// Host and port.
    pub(super) address: String,
}

/// Longer than any answer that an agent takes.
const FLOOD_BYTES: usize = 17 << 20;
/// Longer than a result may be where its plugin's grant says nothing of it.
const MUCH_BYTES: usize = 2 << 20;

impl Stub {
    /// `elsewhere`: the URL to which `/moved` leads, without a path.
    pub(super) fn start(elsewhere: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let elsewhere = elsewhere.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let elsewhere = elsewhere.clone();
                // Who hangs up is no concern of the stub's.
                thread::spawn(move || answer(stream, &elsewhere));
            }
        });
        Ok(Self { address })
    }
}

fn answer(mut stream: TcpStream, elsewhere: &str) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let target = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let (kind, rest) = target.split_once('/').unwrap_or((target, ""));
    let (status, headers, body) = match kind {
        "page" => ("200 OK", "content-type: text/html\r\n".to_owned(), "<html>Sign in</html>".to_owned()),
        "other" => ("200 OK", "content-type: application/json\r\n".to_owned(), r#"{"alerts":[]}"#.to_owned()),
        "login" => ("401 Unauthorized", "content-type: text/plain\r\n".to_owned(), "who are you?".to_owned()),
        "busy" => ("503 Service Unavailable", "retry-after: 3\r\n".to_owned(), String::new()),
        "broken" => ("500 Internal Server Error", "content-type: text/plain\r\n".to_owned(), "boom".to_owned()),
        "moved" => ("302 Found", format!("location: {elsewhere}/{rest}\r\n"), String::new()),
        "flood" => ("200 OK", "content-type: application/json\r\n".to_owned(), "x".repeat(FLOOD_BYTES)),
        "much" => {
            let data = "x".repeat(MUCH_BYTES);
            ("200 OK", String::new(), format!(r#"{{"status":"success","data":"{data}"}}"#))
        }
        // The connection stays open, and nothing comes.
        "slow" => loop {
            thread::park();
        },
        _ => ("404 Not Found", "content-type: text/plain\r\n".to_owned(), "404 page not found".to_owned()),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")?;
    Ok(stream.flush()?)
}

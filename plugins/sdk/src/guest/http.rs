//! The host's `wasi:http/outgoing-handler`.

use super::bindings::wasi::{
    http::{
        outgoing_handler::{self, OutgoingRequest, RequestOptions},
        types::{self, ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, Scheme},
    },
    io::streams::StreamError,
};
use crate::{Error, http::Request};

/// What is handed over at once; more than the host offers would trap.
const PIECE_MAX_BYTES: usize = 4 << 10;
const READ_MAX_BYTES: u64 = 64 << 10;
/// In which an answer is held until its end.
const BLOCK_MAX_BYTES: usize = 64 << 10;

type Answer = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

pub(crate) fn send(request: &Request) -> Result<Answer, Error> {
    let body = if request.body.is_empty() { None } else { Some(request.body.as_slice()) };
    let outgoing = prepared(request)?;
    let upload = body.and_then(|body| Some((body, outgoing.body().ok()?)));
    let future = outgoing_handler::handle(outgoing, options(request)).map_err(error)?;
    if let Some((bytes, body)) = upload {
        // Who answers without reading to the end closes the stream: the answer says why.
        let written = write(&body, bytes);
        if written {
            OutgoingBody::finish(body, None).map_err(error)?;
        }
    }
    future.subscribe().block();
    let answered = future.get().and_then(Result::ok);
    read(&answered.ok_or_else(|| Error::failed("the host gave no answer"))?.map_err(error)?)
}

fn prepared(request: &Request) -> Result<OutgoingRequest, Error> {
    let invalid = |what: &str| Error::invalid(format!("{what} of a request to `{}` cannot be sent", request.url));
    let fields = Fields::new();
    for (name, value) in &request.headers {
        fields.append(name, value).map_err(|_| invalid(&format!("the header `{name}`")))?;
    }
    if !request.body.is_empty() && !fields.has("content-length") {
        let length = request.body.len().to_string();
        fields.append("content-length", length.as_bytes()).map_err(|_| invalid("the length"))?;
    }
    let url = crate::http::parts(&request.url).ok_or_else(|| {
        Error::invalid(format!("`{}` is no absolute URL, such as https://example.com/x", request.url))
    })?;
    let outgoing = OutgoingRequest::new(fields);
    let scheme = match url.scheme.to_ascii_lowercase().as_str() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => Scheme::Other(other.to_owned()),
    };
    let path = format!("{}{}", url.path, url.query);
    outgoing.set_method(&method(&request.method)).map_err(|()| invalid("the method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| invalid("the scheme"))?;
    outgoing.set_authority(Some(url.authority)).map_err(|()| invalid("the host"))?;
    outgoing.set_path_with_query(Some(&path)).map_err(|()| invalid("the path"))?;
    Ok(outgoing)
}

fn options(request: &Request) -> Option<RequestOptions> {
    let timeout = u64::try_from(request.timeout?.as_nanos()).unwrap_or(u64::MAX);
    let options = RequestOptions::new();
    // Without them the host's own hold.
    let _ = options.set_connect_timeout(Some(timeout));
    let _ = options.set_first_byte_timeout(Some(timeout));
    let _ = options.set_between_bytes_timeout(Some(timeout));
    Some(options)
}

fn write(body: &OutgoingBody, bytes: &[u8]) -> bool {
    let Ok(stream) = body.write() else { return false };
    bytes.chunks(PIECE_MAX_BYTES).all(|piece| stream.blocking_write_and_flush(piece).is_ok())
}

fn read(response: &IncomingResponse) -> Result<Answer, Error> {
    let headers = response.headers().entries();
    let body = response.consume().map_err(|()| Error::failed("the answer has no body"))?;
    // Blocks: one text that grows would hold twice its size while it does, and pieces may be of a few bytes.
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    {
        let stream = body.stream().map_err(|()| Error::failed("the answer's body cannot be read"))?;
        loop {
            match stream.blocking_read(READ_MAX_BYTES) {
                Ok(piece) => match blocks.last_mut().filter(|block| block.len() + piece.len() <= BLOCK_MAX_BYTES) {
                    Some(block) => block.extend_from_slice(&piece),
                    None => blocks.push(piece),
                },
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(failure)) => {
                    return Err(match types::http_error_code(&failure) {
                        Some(code) => error(code),
                        None => broken(&failure.to_debug_string()),
                    });
                }
            }
        }
    }
    drop(IncomingBody::finish(body));
    Ok((response.status(), headers, blocks.concat()))
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

/// The host says `CODE: MESSAGE`; what is left are the few things that are wrong before a request reaches it.
fn error(code: ErrorCode) -> Error {
    match code {
        ErrorCode::InternalError(Some(text)) => coded(&text),
        ErrorCode::HttpRequestUriInvalid => Error::invalid("url: it is none that can be sent"),
        ErrorCode::HttpRequestMethodInvalid => Error::invalid("the method is none that can be sent"),
        other => Error::unavailable(format!("{other:?}")),
    }
}

/// The same where a body ends: there the host can only say it as text, with what it may add below.
fn broken(text: &str) -> Error {
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("internal error: ").map_or_else(|| Error::unavailable(first), coded)
}

fn coded(text: &str) -> Error {
    let is_code = |code: &str| !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    match text.split_once(": ") {
        Some((code, message)) if is_code(code) => Error::new(code.to_owned(), message),
        _ => Error::failed(text),
    }
}

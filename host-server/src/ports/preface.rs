//! The first bytes of a connection, read ahead: until they are there nothing has been asked, and nothing is to be kept for it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a client says first who speaks HTTP/2.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until it is clear whether HTTP/2 is spoken; what was read.
///
/// # Errors
/// `UnexpectedEof` when the client goes before that.
pub(super) async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut read = Vec::with_capacity(HTTP2.len());
    while HTTP2.starts_with(&read) && read.len() < HTTP2.len() {
        let left = HTTP2.len() - read.len();
        if io.take(left as u64).read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[tokio::test]
    async fn no_more_is_read_than_says_what_is_spoken() {
        for (said, taken) in [
            (&b"GET / HTTP/1.1\r\n\r\n and a body that goes on"[..], 24),
            (b"POST /", 6),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nSETTINGS", 24),
        ] {
            let mut rest = said;
            let first = read(&mut rest).await.unwrap();
            assert_eq!(first.len(), taken);
            assert_eq!([&first, rest].concat(), said);
        }
        for said in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n"] {
            assert!(read(&mut &*said).await.is_err(), "{said:?}");
        }
    }
}

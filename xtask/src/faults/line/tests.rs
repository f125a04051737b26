use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use super::{Line, Mode};

/// A line with one connection over it: the line and its two ends.
fn connected() -> (Line, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = Line::to(listener.local_addr().unwrap().port()).unwrap();
    let mut near = TcpStream::connect(("127.0.0.1", line.port)).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    // The line knows a connection whose bytes it passes.
    near.write_all(b"0").unwrap();
    far.read_exact(&mut [0]).unwrap();
    (line, near, far)
}

/// What comes, however busy the machine is.
fn read(stream: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    read_within(stream, Duration::from_secs(10))
}

/// Nothing comes within a moment.
fn is_silent(stream: &mut TcpStream) -> bool {
    read_within(stream, Duration::from_millis(200)) == Err(ErrorKind::WouldBlock)
}

fn read_within(stream: &mut TcpStream, time: Duration) -> Result<Vec<u8>, ErrorKind> {
    stream.set_read_timeout(Some(time)).unwrap();
    let mut bytes = [0; 16];
    stream.read(&mut bytes).map(|count| bytes[..count].to_vec()).map_err(|error| error.kind())
}

#[test]
fn bytes_pass_and_wait_and_go_on() {
    let (line, mut near, mut far) = connected();
    near.write_all(b"one").unwrap();
    assert_eq!(read(&mut far), Ok(b"one".to_vec()));
    far.write_all(b"two").unwrap();
    assert_eq!(read(&mut near), Ok(b"two".to_vec()));
    line.set(Mode::Hold);
    near.write_all(b"three").unwrap();
    assert!(is_silent(&mut far));
    line.set(Mode::Pass);
    assert_eq!(read(&mut far), Ok(b"three".to_vec()));
}

#[test]
fn what_was_swallowed_never_comes_and_the_connection_stays_deaf() {
    let (line, mut near, mut far) = connected();
    line.set(Mode::Swallow);
    near.write_all(b"one").unwrap();
    assert!(is_silent(&mut far));
    line.set(Mode::Pass);
    near.write_all(b"two").unwrap();
    assert!(is_silent(&mut far));
}

#[test]
fn a_cut_resets_both_ends_and_a_refusal_new_ones() {
    let (line, mut near, mut far) = connected();
    line.cut();
    for end in [&mut near, &mut far] {
        assert_eq!(read(end), Err(ErrorKind::ConnectionReset));
    }
    line.set(Mode::Refuse);
    let mut refused = TcpStream::connect(("127.0.0.1", line.port)).unwrap();
    assert_eq!(read(&mut refused), Err(ErrorKind::ConnectionReset));
}

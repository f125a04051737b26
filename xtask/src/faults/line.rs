//! A TCP connection that can be disturbed: everything between two processes goes through one.

#[cfg(test)]
mod tests;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use rustix::net::sockopt::set_socket_linger;

/// How soon a connection notices what was asked of its line.
const LOOK: Duration = Duration::from_millis(10);

/// What happens to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// They arrive.
    Pass,
    /// They wait, as they do while a network is cut and TCP tries again.
    Hold,
    /// They vanish, and the connection looks open, as when a firewall forgets it. It stays deaf for good.
    Swallow,
    /// New connections are reset.
    Refuse,
}

/// Listens on a loopback port of its own and passes on to another one.
pub(super) struct Line {
    pub(super) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    delay_ms: AtomicU64,
    ended: AtomicBool,
}

struct State {
    mode: Mode,
    target: u16,
    connections: Vec<Weak<Connection>>,
}

struct Connection {
    near: TcpStream,
    far: TcpStream,
    cut: AtomicBool,
    deaf: AtomicBool,
}

impl Line {
    /// A line to a loopback port.
    pub(super) fn to(target: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let state = State { mode: Mode::Pass, target, connections: Vec::new() };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), delay_ms: AtomicU64::new(0), ended: AtomicBool::new(false) });
        let accepting = Arc::clone(&shared);
        thread::Builder::new().name("line".into()).spawn(move || accepting.accept(&listener))?;
        Ok(Self { port, shared })
    }

    pub(super) fn set(&self, mode: Mode) {
        self.shared.state().mode = mode;
    }

    /// Where new connections go from now on.
    pub(super) fn lead_to(&self, target: u16) {
        self.shared.state().target = target;
    }

    /// How late bytes arrive from now on.
    pub(super) fn delay(&self, delay: Duration) {
        let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(milliseconds, Ordering::Relaxed);
    }

    /// Resets every connection.
    pub(super) fn cut(&self) {
        for connection in self.shared.state().connections.drain(..).filter_map(|connection| connection.upgrade()) {
            connection.cut.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the listener; where nobody listens any more there is nothing to wake.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for near in listener.incoming() {
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            let Ok(near) = near else { continue };
            let (mode, target) = {
                let state = self.state();
                (state.mode, state.target)
            };
            let far = if mode == Mode::Refuse { None } else { TcpStream::connect(("127.0.0.1", target)).ok() };
            let Some(far) = far else {
                reset(&near);
                continue;
            };
            let deaf = AtomicBool::new(false);
            let connection = Arc::new(Connection { near, far, cut: AtomicBool::new(false), deaf });
            if connection.prepare().is_err() {
                continue;
            }
            self.state().connections.push(Arc::downgrade(&connection));
            for towards_far in [true, false] {
                let (shared, connection) = (Arc::clone(self), Arc::clone(&connection));
                let pump = move || shared.pump(&connection, towards_far);
                if let Err(error) = thread::Builder::new().name("line".into()).spawn(pump) {
                    eprintln!("a connection has no thread: {error}");
                }
            }
        }
    }

    /// One direction of one connection, to its end.
    fn pump(&self, connection: &Connection, towards_far: bool) {
        let (mut from, mut to) = match towards_far {
            true => (&connection.near, &connection.far),
            false => (&connection.far, &connection.near),
        };
        let mut buffer = [0; 16 << 10];
        loop {
            let read = from.read(&mut buffer);
            let over = || connection.cut.load(Ordering::Relaxed) || self.ended.load(Ordering::Relaxed);
            if over() {
                return reset(from);
            }
            let bytes = match read {
                Ok(0) => break,
                Ok(count) => buffer.get(..count).unwrap_or_default(),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => break,
            };
            thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::Relaxed)));
            while self.state().mode == Mode::Hold {
                if over() {
                    return reset(from);
                }
                thread::sleep(LOOK);
            }
            if over() {
                return reset(from);
            }
            if self.state().mode == Mode::Swallow {
                connection.deaf.store(true, Ordering::Relaxed);
            }
            if !connection.deaf.load(Ordering::Relaxed) && to.write_all(bytes).is_err() {
                break;
            }
        }
        if !connection.deaf.load(Ordering::Relaxed) {
            // The other side may have gone before.
            let _ = to.shutdown(Shutdown::Write);
        }
    }
}

impl Connection {
    fn prepare(&self) -> std::io::Result<()> {
        for stream in [&self.near, &self.far] {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(LOOK))?;
        }
        Ok(())
    }
}

/// Its end will be a reset instead of an orderly one.
fn reset(stream: &TcpStream) {
    // A socket that has ended has nothing to reset.
    let _ = set_socket_linger(stream, Some(Duration::ZERO));
}

//! `claiflow-server rekey`: what is stored is encrypted again, beside servers that run.

use std::{
    error::Error,
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Rekey},
    enigma::Former,
    lifecycle,
    storage::{self, Count, Cursor, Piece, Store},
};

/// Passes over all tables: what is written meanwhile by a server with former keys is met by the next one.
const PASSES: u32 = 5;
/// A piece that met a lock or a node's end is tried again so often.
const TRIES: u32 = 10;
const AGAIN: Duration = Duration::from_millis(200);
/// Between two lines where nobody watches, and between two changes of the bar.
const LINE: Duration = Duration::from_secs(5);
const BAR: Duration = Duration::from_millis(200);

/// What a whole run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Values that were sealed again.
    pub sealed: u64,
    /// Values that cannot be opened, or would be too long.
    pub left: u64,
    /// It was stopped before its end.
    pub is_stopped: bool,
}

/// Says how things stand, or encrypts until nothing is left, a mistake or Ctrl-C.
///
/// # Errors
/// What keeps it from beginning or going on.
pub async fn run(config: Config, arguments: Rekey) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let store = lifecycle::open(&config).await?;
    if arguments.status {
        show(&store.count_sealed().await?);
        store.close().await;
        return Ok(ExitCode::SUCCESS);
    }
    if config.encryption.keys.is_empty() {
        return Err("there is no key to encrypt under: name one in `enigma.keys` (docs/encryption.md)".into());
    }
    let former = config.encryption.former.as_ref().filter(|_| arguments.original);
    if arguments.original && former.is_none() {
        return Err(
            "`--original` needs what the first version encrypted with: `enigma.blockMethod` and its neighbours".into(),
        );
    }
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            asked.cancel();
        }
    });
    let mut progress = Progress::of(store.count_unsealed().await?);
    let outcome = all(&store, former, arguments.batch, &stop, |sealed| progress.show(sealed)).await?;
    progress.end(outcome.sealed);
    if outcome.is_stopped {
        eprintln!("stopped; what was encrypted stays so, and the same command goes on with the rest");
        store.close().await;
        return Ok(ExitCode::FAILURE);
    }
    let needed = store.forget_keys().await?;
    store.close().await;
    eprintln!("{} values were encrypted", outcome.sealed);
    if outcome.left > 0 {
        eprintln!("{} values stay as they are; the lines above say why", outcome.left);
    }
    match needed.as_slice() {
        [] if outcome.left == 0 => {
            eprintln!("all values stand under the first key; the others can leave `enigma.keys`")
        }
        [] => {}
        keys => eprintln!(
            "still needed: {}. Values stand under them, or a server still encrypts under them: start every server with the new \
             first key, and run this command again",
            keys.join(", ")
        ),
    }
    Ok(if outcome.left == 0 && needed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Passes over everything until one finds nothing to do; `progress` hears how many values were sealed so far.
///
/// # Errors
/// [`storage::Error`] of the engine; what was sealed stays so.
pub async fn all(
    store: &Store,
    former: Option<&Former>,
    batch: i64,
    stop: &CancellationToken,
    mut progress: impl FnMut(u64),
) -> Result<Outcome, storage::Error> {
    let mut outcome = Outcome::default();
    for _ in 0..PASSES {
        let mut of_pass = Piece::default();
        for table in Store::sealed_tables() {
            let mut cursor = Cursor::default();
            loop {
                if stop.is_cancelled() {
                    return Ok(Outcome { is_stopped: true, ..outcome });
                }
                let Some(piece) = piece(store, table, &mut cursor, batch, former).await? else { break };
                of_pass.sealed += piece.sealed;
                of_pass.changed += piece.changed;
                of_pass.left += piece.left;
                outcome.sealed += piece.sealed;
                progress(outcome.sealed);
            }
        }
        outcome.left = of_pass.left;
        if of_pass.sealed == 0 && of_pass.changed == 0 {
            break;
        }
    }
    Ok(outcome)
}

async fn piece(
    store: &Store,
    table: &'static storage::Table,
    cursor: &mut Cursor,
    batch: i64,
    former: Option<&Former>,
) -> Result<Option<Piece>, storage::Error> {
    let mut tries = 0;
    loop {
        match store.rekey_piece(table, cursor, batch, former).await {
            Err(error) if error.may_pass() && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(AGAIN).await;
            }
            other => return other,
        }
    }
}

#[expect(clippy::print_stdout, reason = "the table is this command's output")]
fn show(counts: &[Count]) {
    println!("{:<16} {:<10} {:<32} {:>12}", "TABLE", "COLUMN", "KEY", "VALUES");
    for Count { table, column, key, values } in counts {
        let key = match key.as_deref() {
            None => "(plain)",
            Some("?") => "(unknown)",
            Some(key) => key,
        };
        println!("{table:<16} {column:<10} {key:<32} {values:>12}");
    }
}

/// A bar where somebody watches, lines elsewhere.
struct Progress {
    total: u64,
    is_watched: bool,
    told: Option<Instant>,
}

impl Progress {
    fn of(total: u64) -> Self {
        Self { total, is_watched: std::io::stderr().is_terminal(), told: None }
    }

    fn show(&mut self, done: u64) {
        let pause = if self.is_watched { BAR } else { LINE };
        if self.told.is_some_and(|told| told.elapsed() < pause) {
            return;
        }
        self.told = Some(Instant::now());
        self.draw(done);
    }

    fn draw(&self, done: u64) {
        // Servers write meanwhile, so there may be more in the end than at first.
        let total = self.total.max(done);
        if self.is_watched {
            let filled = usize::try_from(done.saturating_mul(30).checked_div(total).unwrap_or(30)).unwrap_or(30);
            eprint!("\r[{:<30}] {done} of {total} values", "#".repeat(filled));
            // A bar that cannot be drawn is no reason to stop.
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{done} of {total} values are encrypted");
        }
    }

    fn end(&self, done: u64) {
        self.draw(done);
        if self.is_watched {
            eprintln!();
        }
    }
}

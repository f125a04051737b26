//! Looks at every task, again and again, as people and scripts do.

use std::{sync::Arc, thread, time::Duration};

use anyhow::Result;
use serde_json::Value;

use super::{
    board::Board,
    history::{MISSING, Sight},
    rest::Caller,
};

/// Tasks whose end was seen are looked at in every so many rounds: it must not change.
const FINAL_ROUNDS: usize = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// Watches over one server until the board ends.
pub(super) fn start(number: usize, server: Caller, board: &Arc<Board>) -> std::io::Result<thread::JoinHandle<()>> {
    let board = Arc::clone(board);
    thread::Builder::new().name("watcher".into()).spawn(move || {
        for round in 1.. {
            for (cluster, uuid) in board.tasks() {
                if board.has_ended() {
                    return;
                }
                if (round % FINAL_ROUNDS == 0 || !board.is_final(&uuid))
                    && look(number, &server, &board, &cluster, &uuid).is_err()
                {
                    // It is away: that is what the case is about.
                    break;
                }
            }
            if board.has_ended() {
                return;
            }
            thread::sleep(PAUSE);
        }
    })
}

/// Looks once at every task of a server that is there.
pub(super) fn once(number: usize, server: &Caller, board: &Board) -> Result<()> {
    for (cluster, uuid) in board.tasks() {
        look(number, server, board, &cluster, &uuid)?;
    }
    Ok(())
}

fn look(number: usize, server: &Caller, board: &Board, cluster: &str, uuid: &str) -> Result<()> {
    let asked_ms = board.now_ms();
    let (status, answer) = server.get(&format!("/api/v1/cluster/{cluster}/service/{uuid}"))?;
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let state = match status {
        200 => text("/state").unwrap_or_default(),
        404 => MISSING.to_owned(),
        // It cannot say at the moment.
        _ => return Ok(()),
    };
    let sight = Sight {
        server: number,
        asked_ms,
        answered_ms: board.now_ms(),
        state,
        attempt: answer.get("attempt").and_then(Value::as_u64).unwrap_or_default(),
        result: text("/results/0/result"),
        error: text("/error").or_else(|| text("/reason")),
    };
    board.seen(uuid, sight);
    Ok(())
}

//! Programs in containers, as a test says what they do.

use std::{cell::RefCell, collections::VecDeque};

use serde_json::json;

use super::{
    Executed,
    answers::{locate, missing_cluster},
    begin_write,
    kind::missing,
    select::Options,
    with,
};
use crate::{Error, kubernetes::Object};

pub(crate) fn exec(pod: &Object, _container: &str, command: &[String], options: &str) -> Result<Execution, Error> {
    let lost = begin_write("exec", pod)?;
    let (kind, key) = locate(pod)?;
    let options = Options::parse(options)?;
    let program = with(|state| {
        state.store.get(&key).ok_or_else(|| missing(&kind, &key.name))?;
        Ok(state.program.clone())
    });
    let program = program.unwrap_or_else(|| Err(missing_cluster()))?;
    if let Some(lost) = lost {
        return Err(lost);
    }
    let run = move |input: &[u8], command: &[String]| match &program {
        Some(program) => program(command, input),
        None => Executed::default(),
    };
    let execution =
        Execution { state: RefCell::new(Running::default()), run: Box::new(run), command: command.to_vec() };
    if !options.stdin {
        execution.close_stdin();
    }
    Ok(execution)
}

type Run = Box<dyn Fn(&[u8], &[String]) -> Executed>;

/// A program runs when its input ends.
pub(crate) struct Execution {
    state: RefCell<Running>,
    run: Run,
    command: Vec<String>,
}

#[derive(Default)]
struct Running {
    input: Vec<u8>,
    pieces: VecDeque<(String, Vec<u8>)>,
    exit: Option<i64>,
}

impl Execution {
    pub(crate) fn write(&self, data: &[u8]) -> Result<(), Error> {
        self.state.borrow_mut().input.extend_from_slice(data);
        Ok(())
    }

    pub(crate) fn close_stdin(&self) {
        let mut state = self.state.borrow_mut();
        if state.exit.is_none() {
            let done = (self.run)(&state.input, &self.command);
            let pieces = [("stdout".to_owned(), done.stdout), ("stderr".to_owned(), done.stderr)];
            state.pieces = pieces.into_iter().filter(|(_, data)| !data.is_empty()).collect();
            state.exit = Some(done.exit);
        }
    }

    pub(crate) fn read(&self, max_bytes: u32, _timeout_ms: u32) -> Result<Option<(String, Vec<u8>)>, Error> {
        let mut state = self.state.borrow_mut();
        if state.exit.is_none() {
            return Ok(Some(("stdout".to_owned(), Vec::new())));
        }
        let max = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let Some((stream, mut data)) = state.pieces.pop_front() else { return Ok(None) };
        if data.len() > max {
            let rest = data.split_off(max);
            state.pieces.push_front((stream.clone(), rest));
        }
        Ok(Some((stream, data)))
    }

    pub(crate) fn status(&self) -> Result<String, Error> {
        let exit = self.state.borrow().exit;
        exit.map(|exit| json!({"exit": exit}).to_string()).ok_or_else(|| Error::invalid("the program has not ended"))
    }
}

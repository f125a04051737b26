//! Programs that say what a test wants.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    marker::PhantomData,
};

use serde_json::Value;

use crate::Error;

/// A program that a command had started.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Started {
    /// Such as `helm.upgrade`.
    pub profile: String,
    /// Its arguments.
    pub args: Value,
    /// What it was given to read.
    pub stdin: Vec<u8>,
}

struct Scripted {
    profile: String,
    answer: Result<Answer, Error>,
}

#[derive(Clone)]
struct Answer {
    exit: i32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Scripted>,
    started: Vec<Started>,
}

thread_local! {
    static PROGRAMS: RefCell<Option<Script>> = const { RefCell::new(None) };
}

/// What this thread's commands can have run, until it is dropped. A profile without an answer is `denied`, as without a grant; so is
/// one that changes something while `verify` runs.
#[derive(Debug)]
pub struct Programs {
    /// It is of one thread.
    thread: PhantomData<*const ()>,
}

impl Default for Programs {
    fn default() -> Self {
        Self::new()
    }
}

impl Programs {
    /// None answers.
    pub fn new() -> Self {
        PROGRAMS.set(Some(Script::default()));
        Self { thread: PhantomData }
    }

    /// The next program of the profile ends so; the last one given is run again and again.
    pub fn answers(&self, profile: &str, exit: i32, stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) {
        self.script(profile, Ok(Answer { exit, stdout: stdout.into(), stderr: stderr.into() }));
    }

    /// The next program of the profile is not started.
    pub fn fails(&self, profile: &str, error: Error) {
        self.script(profile, Err(error));
    }

    /// The programs so far.
    pub fn started(&self) -> Vec<Started> {
        PROGRAMS.with_borrow(|script| script.as_ref().map(|script| script.started.clone()).unwrap_or_default())
    }

    fn script(&self, profile: &str, answer: Result<Answer, Error>) {
        let scripted = Scripted { profile: profile.to_owned(), answer };
        PROGRAMS.with_borrow_mut(|script| script.get_or_insert_default().answers.push_back(scripted));
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        PROGRAMS.set(None);
    }
}

/// What leaves something behind, whichever programs there are.
fn writes(profile: &str) -> bool {
    let verb = profile.rsplit('.').next().unwrap_or(profile);
    matches!(verb, "install" | "upgrade" | "rollback" | "uninstall" | "repo_add" | "repo_update")
}

pub(crate) fn start(profile: &str, args: &str, stdin: &[u8]) -> Result<Child, Error> {
    let denied = || Error::new("denied", format!("the plugin may not have `{profile}` run"));
    if super::outside::is_asked() && writes(profile) {
        return Err(Error::new("denied", "`verify` leaves nothing behind"));
    }
    let args = serde_json::from_str(args)?;
    PROGRAMS.with_borrow_mut(|script| {
        let script = script.as_mut().ok_or_else(denied)?;
        script.started.push(Started { profile: profile.to_owned(), args, stdin: stdin.to_vec() });
        let fits = |scripted: &Scripted| scripted.profile == profile;
        let at = script.answers.iter().position(fits).ok_or_else(denied)?;
        let is_last = script.answers.iter().filter(|scripted| fits(scripted)).count() == 1;
        let answer = script.answers.get(at).map(|scripted| scripted.answer.clone()).ok_or_else(denied)?;
        if !is_last {
            script.answers.remove(at);
        }
        answer.map(|answer| Child { answer, said: Cell::new(0) })
    })
}

/// A program that says its output, then its complaints.
pub(crate) struct Child {
    answer: Answer,
    said: Cell<u8>,
}

impl Child {
    pub(crate) fn read(&self, _max_bytes: u32, _timeout_ms: u32) -> Result<Option<(String, Vec<u8>)>, Error> {
        let said = self.said.replace(self.said.get().saturating_add(1));
        Ok(match said {
            0 => Some(("stdout".to_owned(), self.answer.stdout.clone())),
            1 => Some(("stderr".to_owned(), self.answer.stderr.clone())),
            _ => None,
        })
    }

    pub(crate) fn wait(&self) -> Result<String, Error> {
        Ok(format!(r#"{{"exit":{}}}"#, self.answer.exit))
    }

    pub(crate) fn terminate(&self) {}
}

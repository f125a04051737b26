//! The template language, as a machine with no I/O, no clock and no threads.
//!
//! [`Flow::parse`] validates a template's text; [`Machine::step`] takes one event and says what may start now. Plain
//! references are walked here; every other expression is given out, to be evaluated by whoever drives the machine.

mod document;
mod event;
mod flow;
mod limits;
mod machine;
mod number;
mod parse;
mod print;
mod program;
mod reference;
mod scope;
mod template;
mod token;

pub use document::{read_json, refuse_embedded};
pub use event::{Call, Event, Expression, Progress, StepEnd, StepError};
pub use flow::{Flow, Mistake, Origin};
pub use limits::Limits;
pub use machine::Machine;

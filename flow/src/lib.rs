//! The template language, as a machine with no I/O, no clock and no threads.
//!
//! [`Flow::parse`] validates a template's text; [`Machine::step`] takes one event and says what may start now. Plain
//! references are walked here; every other expression is given out, to be evaluated by whoever drives the machine.

mod machine;
mod parse;
mod reference;
mod scope;
mod token;

pub use machine::{Call, Event, Expression, Limits, Machine, Progress, StepEnd, StepError};
pub use parse::{Flow, Mistake, Origin};
pub use scope::INTEGER_KEYS;

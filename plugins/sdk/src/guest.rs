//! The component's side: exports for the host, made of a [`Plugin`] by `plugin!`, and the imports behind the SDK.

pub(crate) mod agent;
pub(crate) mod credentials;
pub(crate) mod http;
pub(crate) mod kubernetes;
pub(crate) mod process;

use std::panic::PanicHookInfo;

use serde_json::Value;

use crate::{Context, Error, Plugin, log, plugin::Ask};

/// Of all imports only what a plugin uses stays in its component.
#[allow(unsafe_code, missing_docs, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package claiflow:sdk;
            world guest {
                include claiflow:plugin/plugin@1.0.0;
                import claiflow:plugin/kubernetes@1.0.0;
                import claiflow:plugin/kubernetes-write@1.0.0;
                import claiflow:plugin/kubernetes-exec@1.0.0;
                import claiflow:plugin/credentials@1.0.0;
                import claiflow:plugin/credentials-reveal@1.0.0;
                import claiflow:plugin/credentials-admin@1.0.0;
                import claiflow:plugin/agent@1.0.0;
                import claiflow:plugin/agent-control@1.0.0;
                import claiflow:plugin/process@1.0.0;
                import wasi:http/outgoing-handler@0.2.12;
                import wasi:clocks/wall-clock@0.2.12;
                import wasi:clocks/monotonic-clock@0.2.12;
                import wasi:random/random@0.2.12;
            }
        ",
        world: "claiflow:sdk/guest",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "claiflow_sdk::guest",
    });
}

pub use bindings::*;
use bindings::{claiflow::plugin::types::Failure, exports::claiflow::plugin::handler};

/// What `plugin!` gives.
pub trait Exported {
    /// Name and commands.
    fn plugin() -> &'static Plugin;
}

impl<T: Exported> handler::Guest for T {
    fn describe() -> String {
        std::panic::set_hook(Box::new(on_panic));
        T::plugin().describe().to_string()
    }

    fn run(call: handler::Call) -> Result<String, Failure> {
        answer(T::plugin(), Ask::Run, &call)
    }

    fn verify(call: handler::Call) -> Result<String, Failure> {
        answer(T::plugin(), Ask::Verify, &call)
    }
}

fn answer(plugin: &Plugin, ask: Ask, call: &handler::Call) -> Result<String, Failure> {
    std::panic::set_hook(Box::new(on_panic));
    let context = Context::parse(&call.command, &call.context);
    let answer = context.and_then(|context| plugin.call(ask, &context, &call.inputs));
    answer.map_err(|error| Failure {
        code: error.code().to_owned(),
        message: error.message().to_owned(),
        details: error.details().map(|details| details.to_string()),
    })
}

/// A failure of the host, as a plugin sees it.
fn error(failure: Failure) -> Error {
    let details = failure.details.and_then(|details| serde_json::from_str(&details).ok());
    let error = Error::new(failure.code, failure.message);
    match details {
        Some(Value::Object(details)) => details.into_iter().fold(error, |error, (key, value)| error.detail(key, value)),
        _ => error,
    }
}

/// A panic ends in a trap, which carries no words: they go to the log first.
fn on_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("without a message");
    match info.location() {
        Some(location) => log::error(format_args!("panicked: {message}"), &[("location", location)]),
        None => log::error(format_args!("panicked: {message}"), &[]),
    }
}

/// What the sandbox offers.
pub(crate) mod outside {
    use std::time::Duration;

    use super::{
        Error,
        bindings::{
            claiflow::plugin::{log as lines, task},
            wasi::{
                clocks::{monotonic_clock, wall_clock},
                random::random as generator,
            },
        },
    };
    pub(crate) use super::{agent, credentials, http, kubernetes, process};
    use crate::log::Level;

    pub(crate) fn log(level: Level, message: String, fields: Vec<(String, String)>) {
        lines::write(level_of(level), &message, &fields);
    }

    pub(crate) fn log_enabled(level: Level) -> bool {
        lines::enabled(level_of(level))
    }

    pub(crate) fn remaining_ms() -> u64 {
        task::remaining_ms()
    }

    pub(crate) fn stop_requested() -> Option<String> {
        task::stop_requested()
    }

    pub(crate) fn progress(done: u64, total: u64, message: String) {
        task::progress(done, total, &message);
    }

    pub(crate) fn note(value: String) -> Result<(), Error> {
        task::note(&value).map_err(super::error)
    }

    pub(crate) fn unix() -> Duration {
        let now = wall_clock::now();
        Duration::new(now.seconds, now.nanoseconds)
    }

    pub(crate) fn monotonic() -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }

    pub(crate) fn sleep(time: Duration) {
        monotonic_clock::subscribe_duration(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).block();
    }

    pub(crate) fn random(length: usize) -> Vec<u8> {
        generator::get_random_bytes(u64::try_from(length).unwrap_or(u64::MAX))
    }

    fn level_of(level: Level) -> lines::Level {
        match level {
            Level::Trace => lines::Level::Trace,
            Level::Debug => lines::Level::Debug,
            Level::Info => lines::Level::Info,
            Level::Warn => lines::Level::Warn,
            Level::Error => lines::Level::Error,
        }
    }
}

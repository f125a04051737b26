//! The component's side: exports for the host, made from [`Plugin`] by the macro `plugin!`.

use crate::{Command, describe, dispatch};

wit_bindgen::generate!({ path: "../../wit", world: "plugin", pub_export_macro: true, default_bindings_module: "claiflow_sdk::guest" });

pub use exports::claiflow::plugin::handler::{Call, Failure, Guest};

/// What `plugin!` gives.
pub trait Plugin {
    /// Name and commands.
    fn plugin() -> (&'static str, Vec<Command>);
    /// Of the crate.
    fn version() -> &'static str;
}

impl<T: Plugin> Guest for T {
    fn describe() -> String {
        let (name, commands) = T::plugin();
        describe(name, T::version(), &commands)
    }

    fn run(call: Call) -> Result<String, Failure> {
        let (_, commands) = T::plugin();
        dispatch(&commands, &call.command, &call.inputs).map_err(|error| Failure {
            code: error.code.into(),
            message: error.message,
            details: None,
        })
    }

    fn verify(_: Call) -> Result<String, Failure> {
        Ok(r#"{"verdict":"unknown","why":"this plugin cannot tell"}"#.into())
    }
}

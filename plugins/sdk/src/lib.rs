//! Write a claiflow plugin: a command is a function from one serde type to another.
//!
//! ```
//! use claiflow_sdk::{Effect, Error};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Greet { name: String }
//!
//! fn greet(req: Greet) -> Result<String, Error> {
//!     Ok(format!("hello {}", req.name))
//! }
//!
//! claiflow_sdk::plugin! {
//!     name: "greeter",
//!     commands: [ { name: "greet", effect: Effect::Read, summary: "Greets", run: greet } ]
//! }
//! # fn main() {}
//! ```

mod command;
mod error;
#[cfg(target_family = "wasm")]
pub mod guest;
pub mod host;

pub use command::{Command, Effect, describe, dispatch};
pub use error::Error;

/// Makes a plugin of functions: exports them as a component, and gives `PLUGIN` to tests.
#[macro_export]
macro_rules! plugin {
    (name: $name:literal, commands: [ $( { name: $command:literal, effect: $effect:expr, summary: $summary:literal, run: $run:path } ),* $(,)? ] $(,)?) => {
        /// The plugin's name and commands.
        pub fn plugin() -> (&'static str, Vec<$crate::Command>) {
            ($name, vec![ $( $crate::Command::new($command, $effect, $summary, $run) ),* ])
        }

        #[cfg(target_family = "wasm")]
        mod claiflow_exports {
            struct Exports;
            impl $crate::guest::Plugin for Exports {
                fn plugin() -> (&'static str, ::std::vec::Vec<$crate::Command>) {
                    super::plugin()
                }
                fn version() -> &'static str {
                    ::core::env!("CARGO_PKG_VERSION")
                }
            }
            $crate::guest::export!(Exports with_types_in $crate::guest);
        }
    };
}

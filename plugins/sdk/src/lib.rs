//! Write a claiflow plugin: a command is a function from one serde type to another.
//!
//! ```
//! use claiflow_sdk::{Error, command};
//!
//! claiflow_sdk::plugin! { name: "greeter", commands: [greet] }
//!
//! /// Whom to greet.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Greet {
//!     name: String,
//! }
//!
//! /// Greets.
//! #[command("greet", effect = "read")]
//! fn greet(req: Greet) -> Result<String, Error> {
//!     Ok(format!("hello {}", req.name))
//! }
//!
//! // In a test, with no host at all:
//! let answer = PLUGIN.run("greet", serde_json::json!({"name": "world"}));
//! assert_eq!(answer.unwrap(), "hello world");
//! ```
//!
//! Beside its inputs a command may ask for a [`Context`]; it says why it failed with an [`Error`], writes with [`log`],
//! and looks at the running task with [`task`]. What an operator grants it can do more: [`kubernetes`], [`http`], [`process`],
//! [`credentials`], and for the agent's own plugin [`agent`]. `cargo xtask build-plugin` makes the component.

// The attribute names this crate, also in its own tests.
extern crate self as claiflow_sdk;

pub mod agent;
pub mod clock;
mod context;
pub mod credentials;
mod error;
pub mod former;
#[doc(hidden)]
pub mod glue;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod guest;
pub mod http;
pub mod kubernetes;
pub mod log;
mod pattern;
mod plugin;
pub mod process;
pub mod random;
#[doc(hidden)]
pub mod section;
pub mod task;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod verdict;

pub use claiflow_sdk_macros::command;
pub use context::Context;
pub use error::{Applied, Error};
pub use plugin::{Command, Plugin};
pub use verdict::Verdict;

#[cfg(target_family = "wasm")]
use guest::outside;
#[cfg(not(target_family = "wasm"))]
use testing::outside;

/// Makes a plugin of commands: exports them to the host, and gives `PLUGIN`, a [`Plugin`], to tests.
///
/// ```text
/// claiflow_sdk::plugin! { name: "restart-tool", commands: [restart, history::list] }
/// claiflow_sdk::plugin! { name: "restart-tool", config: Settings, commands: [restart] }
/// ```
///
/// The name is the file's: `restart-tool.wasm`. Each command is a function with [`#[command]`](command). `config` is
/// the type of what an operator sets for this plugin, read with [`Context::config`].
#[macro_export]
macro_rules! plugin {
    (name: $name:literal, $(config: $config:ty,)? commands: [ $($command:ty),+ $(,)? ] $(,)?) => {
        /// What this crate serves.
        pub static PLUGIN: $crate::Plugin = $crate::Plugin {
            name: $name,
            version: ::core::env!("CARGO_PKG_VERSION"),
            commands: &[$(<$command as $crate::glue::Served>::COMMAND),+],
            config: $crate::plugin!(@config $($config)?),
        };

        const _: () = ::core::assert!(
            $crate::section::is_plugin_name($name),
            "a plugin's name has at most 63 lower-case letters, digits and `-` between them, such as \"restart-tool\""
        );

        #[cfg(target_family = "wasm")]
        mod claiflow_exports {
            struct Exports;

            impl $crate::guest::Exported for Exports {
                fn plugin() -> &'static $crate::Plugin {
                    &super::PLUGIN
                }
            }

            $crate::guest::export!(Exports with_types_in $crate::guest);

            const PARTS: &[&str] = &$crate::section::parts(&super::PLUGIN);

            /// What tools read without running anything.
            #[used]
            #[unsafe(link_section = "claiflow:plugin")]
            static SECTION: [u8; $crate::section::length(PARTS)] = $crate::section::join(PARTS);
        }
    };
    (@config) => { ::core::option::Option::None };
    (@config $config:ty) => { ::core::option::Option::Some($crate::glue::schema::<$config>) };
}

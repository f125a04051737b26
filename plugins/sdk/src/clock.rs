//! Clocks that work in every build. `std::time` works where the plugin is built for `wasm32-wasip2`; built by Debian's
//! toolchain it panics, and `build-plugin` refuses such a plugin.

use std::time::Duration;

use crate::outside;

/// The time since 1970-01-01T00:00:00Z, as the node's clock has it.
pub fn unix() -> Duration {
    outside::unix()
}

/// A clock that never goes back; only differences mean anything.
pub fn monotonic() -> Duration {
    outside::monotonic()
}

//! Letting people in, as README shows it: a server in `token` mode, its first admin, an operator with a scope.

use std::path::Path;

use anyhow::Result;

use crate::{
    cluster_of_two::{Built, Pair},
    readme, root,
};

/// Long enough to be taken; it is known to this machine only.
const BOOTSTRAP: &str = "claiflow_of-a-test-on-loopback-which-nobody-else-reaches";

/// What README's section gives.
pub(crate) fn walk(built: &Built, home: &Path) -> Result<()> {
    let config = format!("auth:\n  mode: token\n  bootstrapToken: {BOOTSTRAP}\n");
    let pair = Pair::start_with(built, home, config, (0, 0))?;
    let file = |name: &str| home.join(name).display().to_string();
    let swaps = [
        ("localhost:8099", format!("127.0.0.1:{}", pair.http_port())),
        ("$CLAIFLOW_AUTH_BOOTSTRAPTOKEN", BOOTSTRAP.to_owned()),
        ("admin.header", file("admin.header")),
        ("release.header", file("release.header")),
    ];
    readme::walk_of("people", &root().join("README.md"), &swaps, |_| Ok(()))
}

//! Letting people in, as README shows it: a server in `token` mode, its first admin, an operator with a scope.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::{
    browser::Browser,
    cluster_of_two::{Built, Pair},
    readme, root,
};

/// Long enough to be taken; it is known to this machine only.
const BOOTSTRAP: &str = "claiflow_of-a-test-on-loopback-which-nobody-else-reaches";

fn start<'a>(built: &'a Built, home: &'a Path) -> Result<Pair<'a>> {
    let config = format!("auth:\n  mode: token\n  bootstrapToken: {BOOTSTRAP}\n");
    Pair::start_with(built, home, config, (0, 0))
}

/// Swagger UI calls nothing until somebody has authorised it, and everything then.
pub(crate) fn swagger(built: &Built, home: &Path) -> Result<()> {
    let pair = start(built, home)?;
    let browser = Browser::start(home)?;
    browser.open(&format!("{}/swagger/index.html", pair.base()))?;
    let operation = "#operations-cluster-list_clusters";
    let execute = || {
        browser.click(&format!("{operation} .execute"))?;
        browser.text(&format!("{operation} .live-responses-table .response .response-col_status"))
    };
    browser.click(&format!("{operation} .opblock-summary-control"))?;
    browser.click(&format!("{operation} .try-out__btn"))?;
    let status = execute()?;
    ensure!(status.trim().starts_with("401"), "without a token Swagger UI was answered {status:?}");
    browser.click(".auth-wrapper .authorize")?;
    browser.write(".auth-container input", BOOTSTRAP)?;
    browser.click(".auth-btn-wrapper .authorize")?;
    browser.click(".auth-btn-wrapper .btn-done")?;
    browser.click(&format!("{operation} .btn-clear"))?;
    let status = execute()?;
    ensure!(status.trim().starts_with("200"), "with a token Swagger UI was answered {status:?}");
    Ok(())
}

/// What README's section gives.
pub(crate) fn walk(built: &Built, home: &Path) -> Result<()> {
    let pair = start(built, home)?;
    let file = |name: &str| home.join(name).display().to_string();
    let swaps = [
        ("localhost:8099", format!("127.0.0.1:{}", pair.http_port())),
        ("$CLAIFLOW_AUTH_BOOTSTRAPTOKEN", BOOTSTRAP.to_owned()),
        ("admin.header", file("admin.header")),
        ("release.header", file("release.header")),
    ];
    readme::walk_of("people", &root().join("README.md"), &swaps, |_| Ok(()))
}

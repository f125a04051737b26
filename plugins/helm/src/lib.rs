//! The plugin `helm`: releases of charts, by the official Helm program. The plugin names what it wants; flags, files, environment and
//! account are the agent's, which runs the program through its profiles.
//!
//! What changes a release is `verify`: the revision that a call made carries its effect key, in its description and in the labels of
//! its Secret. A release that a dead attempt left pending is repaired before the next one begins.

use claiflow_sdk::former;

mod chart;
mod deploy;
mod failure;
mod helm;
mod history;
mod list;
mod mark;
mod release;
mod repair;
mod repository;
mod rollback;
mod status;
mod template;
mod time;
mod timeout;
mod uninstall;
mod values;

claiflow_sdk::plugin! {
    name: "helm",
    commands: [
        deploy::install, deploy::upgrade, uninstall::uninstall, rollback::rollback,
        history::history, status::status, values::get_values, list::list, template::template,
        repository::repo_add, repository::repo_list, repository::repo_update,
    ],
}

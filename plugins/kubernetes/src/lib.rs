//! The plugin `kubernetes`: `kubernetes.<resource>.<verb>.<group/version>` for every resource that the cluster has, custom
//! ones included. What there is says the API server, and what is allowed the grant: there is no list of kinds in here.
//!
//! Each verb is a pattern of its own, so that it has its own input schema and its own effect, and an operator can leave it
//! out of `commands` or make it stricter. A file of `src` is a verb, or what several share.

use claiflow_sdk::former;

mod apply;
mod create;
mod delete;
mod duration;
mod evict;
mod exec;
mod expression;
mod get;
mod json;
mod list;
mod logs;
mod mark;
mod object;
mod other;
mod patch;
mod replace;
mod restart;
mod scale;
mod target;
mod wait;
mod watch;

claiflow_sdk::plugin! {
    name: "kubernetes",
    commands: [
        get::get, list::list, watch::watch, wait::wait, logs::logs,
        patch::patch, apply::apply, scale::scale, restart::rollout_restart,
        create::create, replace::replace, delete::delete, evict::evict,
        exec::exec, other::other,
    ],
}

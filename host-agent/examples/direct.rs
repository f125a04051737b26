//! The cluster's API by kube directly, with no plugin and no agent: what `cargo xtask bench kubernetes` compares with.

#![allow(clippy::print_stdout, reason = "a program")]

use std::{path::PathBuf, time::Instant};

use clap::Parser;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Pod, ServiceAccount},
};
use kube::{
    Api, Client, Config, Discovery,
    api::PostParams,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use rustix::time::{ClockId, clock_gettime};

/// Gets one pod again and again, and prints the median, the 99th percentile and the process's CPU a get in µs, and how long one discovery
/// takes in ms.
#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    kubeconfig: PathBuf,
    #[arg(long)]
    namespace: String,
    /// The ServiceAccount as which it asks, as a plugin does: an API server takes longer for it than for an administrator.
    #[arg(long)]
    account: String,
    #[arg(long)]
    pod: String,
    #[arg(long, default_value_t = 1_000)]
    repeat: usize,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let kubeconfig = Kubeconfig::read_from(&arguments.kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(Client::try_from(config.clone())?, &arguments.namespace);
    let asked = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(3600), ..Default::default() },
        ..Default::default()
    };
    let given = accounts.create_token_request(&arguments.account, &PostParams::default(), &asked).await?;
    let token = given.status.ok_or("the API server gave no token")?.token;
    config.auth_info = AuthInfo { token: Some(token.into()), ..AuthInfo::default() };
    let client = Client::try_from(config)?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), &arguments.namespace);
    let mut times = Vec::with_capacity(arguments.repeat);
    let began = cpu_us();
    for _ in 0..arguments.repeat {
        let started = Instant::now();
        // As text and back, since that is what a plugin hands on.
        let pod = serde_json::to_string(&pods.get(&arguments.pod).await?)?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
        std::hint::black_box(pod);
    }
    let cpu_us = (cpu_us() - began) / f64::from(u32::try_from(times.len().max(1))?);
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
    let started = Instant::now();
    let discovery = Discovery::new(client).run_aggregated().await?;
    let found = started.elapsed().as_secs_f64() * 1e3;
    println!("{:.1} {:.1} {cpu_us:.1} {found:.1} {}", at(50), at(99), discovery.groups().count());
    Ok(())
}

/// Of all threads of this process.
fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    #[allow(clippy::cast_precision_loss, reason = "microseconds of a minute")]
    let us = time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3;
    us
}

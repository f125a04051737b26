//! What the figures depend on, read from the machine at hand.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
    time::Instant,
};

use anyhow::Result;

/// Prints machine, kernel, compiler, database and disk.
pub(super) fn print(directory: &Path) -> Result<()> {
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let cores = std::thread::available_parallelism()?;
    let memory_kib: u64 = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next().and_then(|number| number.parse().ok()))
        .unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("conditions");
    println!(
        "  machine    {processor}, {cores} cores, {} GiB; server, database, agent and load on it together",
        memory_kib >> 20
    );
    println!("  load       {} before the start", load.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
    println!("  kernel     {}", said("uname", &["-sr"]));
    println!("  compiler   {}, release profile", said("rustc", &["--version"]));
    println!("  MariaDB    {}; innodb_flush_log_at_trx_commit=1, no binlog", said("mariadbd", &["--version"]));
    println!("  SQLite     WAL, synchronous=FULL");
    println!("  fdatasync  {:.3} ms a 4 KiB write (median of 200)", fdatasync_ms(directory)?);
    Ok(())
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => format!("{program} is missing ({error})"),
    }
}

fn fdatasync_ms(directory: &Path) -> Result<f64> {
    let mut file = File::create(directory.join("fdatasync"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[7; 4_096])?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(super::Sorted::new(times).percentile(50))
}

//! Each connection takes a file of the process, so the process may open as many as its host lets it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are no connections: the database's, the log, what is loaded, other replicas.
const OTHERS: u64 = 512;

/// Lifts the process's limit of open files to what the host allows. A sentence, where `connections` may still need more: those are then
/// refused by the system, one by one.
#[must_use]
pub fn allow_files(connections: usize) -> Option<String> {
    let limits = getrlimit(Resource::Nofile);
    // What a host refuses is told below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum });
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHERS);
    let may = getrlimit(Resource::Nofile).current?;
    (may < wanted).then(|| {
        format!(
            "this process may open {may} files, and its ports take up to {connections} connections: raise the host's limit (`ulimit -Hn`, `LimitNOFILE=`) to {wanted}, or lower `http.maxConnections` and `grpc.maxConnections`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{Resource, allow_files, getrlimit};

    #[test]
    fn a_process_opens_as_many_files_as_its_host_lets_it_and_says_where_that_is_too_few() {
        assert_eq!(allow_files(0), None);
        let limits = getrlimit(Resource::Nofile);
        assert_eq!(limits.current, limits.maximum);
        if let Some(most) = limits.maximum {
            let said = allow_files(usize::try_from(most).unwrap()).unwrap();
            assert!(said.contains(&format!("may open {most} files")), "{said}");
        }
    }
}

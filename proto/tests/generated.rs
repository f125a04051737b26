//! Holds the committed code to the `.proto` files; with `CLAIFLOW_GENERATE=1` it writes the code instead.

use std::{env, fs, path::Path};

#[test]
fn the_committed_code_is_what_the_proto_files_give() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/generated");
    let protos = ["claiflow/agent/v1/agent.proto", "claiflow/peer/v1/peer.proto"];
    let files = protox::compile(protos.map(|proto| root.join(proto)), [root]).unwrap();
    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure().out_dir(out.path()).compile_fds(files).unwrap();
    let mut count = 0;
    for file in fs::read_dir(out.path()).unwrap() {
        let file = file.unwrap();
        let target = committed.join(file.file_name());
        let text = fs::read_to_string(file.path()).unwrap();
        if env::var_os("CLAIFLOW_GENERATE").is_some() {
            fs::create_dir_all(&committed).unwrap();
            fs::write(&target, &text).unwrap();
        }
        let found = fs::read_to_string(&target).unwrap_or_default();
        assert!(found == text, "{} is stale: run CLAIFLOW_GENERATE=1 cargo test -p claiflow-proto", target.display());
        count += 1;
    }
    assert_eq!(count, protos.len());
}

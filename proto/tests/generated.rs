//! Holds the committed code to the `.proto` files; with `CLAIFLOW_GENERATE=1` it writes the code instead.

use std::{env, fs, path::Path};

use prost::Message as _;

#[test]
fn the_committed_code_is_what_the_proto_files_give() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/generated");
    let sources =
        ["claiflow/agent/v1/agent.proto", "claiflow/peer/v1/peer.proto", "pkg/server/api/client/client.proto"];
    let files = protox::compile(sources.map(|source| root.join(source)), [root]).unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut described = files.clone();
    for file in &mut described.file {
        file.source_code_info = None;
    }
    fs::write(out.path().join("descriptors.bin"), described.encode_to_vec()).unwrap();
    tonic_prost_build::configure().out_dir(out.path()).compile_fds(files).unwrap();
    let mut names: Vec<_> = fs::read_dir(out.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    for name in &names {
        let target = committed.join(name);
        let bytes = fs::read(out.path().join(name)).unwrap();
        if env::var_os("CLAIFLOW_GENERATE").is_some() {
            fs::create_dir_all(&committed).unwrap();
            fs::write(&target, &bytes).unwrap();
        }
        let found = fs::read(&target).unwrap_or_default();
        assert!(found == bytes, "{} is stale: run CLAIFLOW_GENERATE=1 cargo test -p claiflow-proto", target.display());
    }
    let expected = [
        "claiflow.agent.v1.rs",
        "claiflow.peer.v1.rs",
        "descriptors.bin",
        "pkg.server.api.client.rs",
        "pkg.server.api.datatype.rs",
    ];
    assert_eq!(names, expected);
}

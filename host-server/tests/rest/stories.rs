//! Every file of `stories/` is a list of exchanges with a fresh server, in order.

use crate::{exchange::Exchange, server::Server};

#[tokio::test]
async fn every_story_goes_as_it_is_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rest/stories");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let story: Vec<Exchange> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let server = Server::start().await;
        for exchange in story {
            exchange.run(&server).await;
        }
    }
}

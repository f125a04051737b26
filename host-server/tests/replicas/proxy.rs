//! A way to a server that a test can close: without a word, as a host that lost its power.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes connections on until it swallows.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    swallows: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn to(host: &str, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let (swallows, swallowed) = watch::channel(false);
        let target = (host.to_owned(), port);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, mut swallowed) = (target.clone(), swallowed.clone());
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(target).await.unwrap();
                    let mut client = client;
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => return,
                        gone = swallowed.wait_for(|swallows| *swallows) => if gone.is_err() { return },
                    }
                    // Neither end is closed, and nothing is read any more.
                    let _gone = swallowed.wait_for(|swallows| !*swallows).await;
                });
            }
        });
        Self { port: own_port, swallows }
    }

    /// From now on nothing is passed, and no connection ends.
    pub(crate) fn swallow(&self) {
        self.swallows.send_replace(true);
    }
}

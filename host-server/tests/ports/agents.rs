//! The agents' port in TLS: agents, and other replicas.

use std::net::SocketAddr;

use claiflow_proto::agent::v1::{AuthenticateRequest, agent_service_client::AgentServiceClient};
use claiflow_server::ports::{ClientAuth, Dialer};
use hyper_util::rt::TokioIo;
use rustls::version::TLS13;
use tonic::{Code, Status, transport::Endpoint};
use tower::service_fn;

use crate::{
    authority::{Authority, Leaf, files, mutual},
    client::{connect, trusting},
    server::{Server, until},
};

/// What an agent with a wrong token is told: nothing, where it is not let in.
async fn told(authority: &Authority, own: Option<&Leaf>, address: SocketAddr) -> Option<Status> {
    let config = trusting(authority, own, &TLS13, &["h2"]);
    let connector = service_fn(move |_| {
        let config = config.clone();
        async move { connect(config, address).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await.ok()?;
    let request = AuthenticateRequest { cluster_uuid: "0".repeat(32), token: "wrong".into(), ..Default::default() };
    AgentServiceClient::new(channel).authenticate(request).await.err()
}

#[tokio::test]
async fn agents_show_a_certificate_where_one_is_asked_for_and_their_token_too() {
    let (server, authority, stranger) = (Server::start().await, Authority::new("ca"), Authority::new("stranger"));
    authority.write(server.directory.path(), &authority.sign(2090));
    let (ours, theirs) = (authority.sign(2090), stranger.sign(2090));
    for (asked, own, is_in) in [
        (ClientAuth::None, None, true),
        (ClientAuth::Required, Some(&ours), true),
        (ClientAuth::Required, Some(&theirs), false),
        (ClientAuth::Required, None, false),
    ] {
        let address = server.grpc(Some(mutual(server.directory.path(), asked))).await;
        let code = told(&authority, own, address).await.map(|status| status.code());
        assert_eq!(code == Some(Code::Unauthenticated), is_in, "{asked:?}: {code:?}");
    }
    // Who does not speak TLS is not heard.
    let address = server.grpc(Some(files(server.directory.path()))).await;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await;
    if let Ok(channel) = channel {
        let code =
            AgentServiceClient::new(channel).authenticate(AuthenticateRequest::default()).await.unwrap_err().code();
        assert_ne!(code, Code::Unauthenticated);
    }
}

#[tokio::test]
async fn replicas_call_each_other_in_tls_with_their_own_certificates() {
    let (first, authority) = (Server::start().await, Authority::new("ca"));
    let second = first.beside().await;
    authority.write(first.directory.path(), &authority.sign(2090));
    let files = mutual(first.directory.path(), ClientAuth::Required);
    let dialer = Dialer::tls(Some(first.directory.path().join("ca.crt")), None, files.clone()).unwrap();
    for replica in [&first, &second] {
        let address = replica.grpc_among(files.clone(), dialer.clone()).await;
        replica.app.reached_at(address.to_string());
    }
    for replica in [&first, &second, &first] {
        replica.app.beat().await.unwrap();
    }
    for replica in [&first, &second] {
        until(async || replica.app.metrics().peers_connected.get() == 1).await;
    }
    let error = Dialer::tls(Some(first.directory.path().join("none.crt")), None, files).unwrap_err().to_string();
    assert!(error.contains("none.crt"), "{error}");
}

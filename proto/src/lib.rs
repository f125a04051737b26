//! The generated code of `proto/claiflow/`, and nothing else. `tests/generated.rs` holds it to the `.proto` files.

/// `claiflow.agent`
pub mod agent {
    /// The protocol between an agent and its server; its rules stand in `claiflow/agent/v1/agent.proto`.
    #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
    #[rustfmt::skip]
    pub mod v1 {
        include!("generated/claiflow.agent.v1.rs");
    }
}

/// `claiflow.peer`
pub mod peer {
    /// The protocol between replicas of the server; its rules stand in `claiflow/peer/v1/peer.proto`.
    #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
    #[rustfmt::skip]
    pub mod v1 {
        include!("generated/claiflow.peer.v1.rs");
    }
}

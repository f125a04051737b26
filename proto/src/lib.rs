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

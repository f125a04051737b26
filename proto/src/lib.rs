//! The generated code of the `.proto` files, and nothing else. `tests/generated.rs` holds it to them.

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

/// What agents of the first version speak: `pkg.server.api`.
pub mod former {
    /// `pkg/server/api/client/client.proto`
    #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
    #[rustfmt::skip]
    pub mod client {
        include!("generated/pkg.server.api.client.rs");
    }

    /// `pkg/server/api/datatype/datatype.proto`
    #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
    #[rustfmt::skip]
    pub mod datatype {
        include!("generated/pkg.server.api.datatype.rs");
    }
}

/// The `.proto` files as an encoded `FileDescriptorSet`, from which a server describes itself.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");

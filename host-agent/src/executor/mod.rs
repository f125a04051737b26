//! Drives flows; knows no gRPC, no wasm and no Kubernetes.

pub mod commands;

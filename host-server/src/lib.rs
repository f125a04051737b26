//! The server: REST for people, gRPC for agents, tasks kept in a database. `ARCHITECTURE.md` has the map.

pub mod app;
pub mod config;
pub mod dispatch;
pub mod grpc;
pub mod jobs;
pub mod lifecycle;
pub mod metrics;
pub mod model;
pub mod rest;
pub mod storage;
pub mod telemetry;

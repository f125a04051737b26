//! The server: REST for people, gRPC for agents, tasks kept in a database. `ARCHITECTURE.md` has the map.

pub mod app;
pub mod bootstrap;
pub mod config;
pub mod dispatch;
pub mod enigma;
pub mod grpc;
pub mod identity;
pub mod import;
pub mod jobs;
pub mod lifecycle;
pub mod metrics;
pub mod model;
pub mod ports;
pub mod rekey;
pub mod rest;
pub mod storage;
pub mod telemetry;
pub mod webhook;

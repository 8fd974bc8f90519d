//! Generated from `proto/kvick.proto` by `cargo xtask codegen`.

#[allow(missing_docs, clippy::all, clippy::unwrap_used, rustdoc::all)]
#[path = "kvick.v1.rs"]
pub mod v1;

//! Generated from `proto/kvick.proto` by `cargo xtask codegen`.

#[allow(missing_docs, clippy::all, clippy::unwrap_used, rustdoc::all)]
#[rustfmt::skip]
#[path = "kvick.v1.rs"]
pub mod v1;

//! The protobuf messages of Hadoop RPC and YARN, generated from `proto/*.proto` (see `examples/codegen.rs`).
//! Owns the generated code and nothing else; nothing outside this crate sees these types.

#![allow(missing_docs, dead_code, clippy::all, clippy::pedantic)]

/// RPC envelope and security messages (package `hadoop.common`).
pub mod common {
    include!("hadoop.common.rs");
}

/// Records and protocols of YARN (package `hadoop.yarn`).
pub mod yarn {
    include!("hadoop.yarn.rs");
}

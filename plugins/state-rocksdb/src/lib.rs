//! The RocksDB state backend as a plugin: a shared library that the engine loads where a job asks for it.
//!
//! [`store`] is RocksDB with the options that suit state, [`list`] how it adds to lists; [`border`] is the C interface to it, the only place with `unsafe`.
//! The interface itself ([`abi`]) is the engine's own file. Knows bytes alone: nothing of keys, tables or checkpoints.

#[path = "../../../crates/runtime/src/state/store/abi.rs"]
pub mod abi;
pub mod border;
pub mod list;
pub mod store;

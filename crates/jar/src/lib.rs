//! Job jars: a zip with a manifest that holds native job programs, one per entry point and target triple.
//!
//! [`Jar::open`] reads one, [`Jar::select`] finds the program for this machine and says clearly why there is none,
//! [`Jar::unpack`] makes it ready to run; [`pack`] writes one. Knows nothing of clusters.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod digest;
mod error;
mod glibc;
mod jar;
mod manifest;
mod pack;

pub use digest::{sha256_hex, sha256_of};
pub use error::JarError;
pub use glibc::{GlibcVersion, needed_glibc, running_glibc};
pub use jar::{Jar, Selected};
pub use manifest::{Entry, Manifest};
pub use pack::{PackEntry, PackSpec, pack};

/// The target triple that this machine runs.
pub const HOST_TARGET: &str = concat_target();

/// The engine version that programs must have been built with: same major, and while that is 0 same minor too.
pub const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");

const fn concat_target() -> &'static str {
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" }
}

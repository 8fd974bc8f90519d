//! The house's own chores: `cargo xtask codegen` writes the generated protobuf code, `cargo xtask check` holds the tree
//! against the house rules (who may depend on whom, a head comment in every file, options that do what they say).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod codegen;
mod options;
mod rules;

use anyhow::{Result, bail};
use std::path::PathBuf;

fn main() -> Result<()> {
    let command = std::env::args().nth(1).unwrap_or_default();
    match command.as_str() {
        "codegen" => codegen::write(&root()),
        "check" => rules::check(&root()),
        other => bail!("unknown chore \"{other}\"; there are: codegen, check"),
    }
}

/// The workspace's root: the parent of this crate's directory.
fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map(PathBuf::from).unwrap_or(manifest)
}

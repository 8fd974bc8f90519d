//! Generation of the protobuf code: `.proto` text in, Rust text out; writes nothing.

use std::path::{Path, PathBuf};

/// What every generated file starts with.
const HEADER: &str = "// Generated from proto/*.proto by examples/codegen.rs: do not edit.\n";

/// Every generated file: where it belongs and its text.
///
/// # Errors
/// When a `.proto` file does not compile or a temporary directory cannot be made.
pub fn generate() -> anyhow::Result<Vec<(PathBuf, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let protos = root.join("proto");
    let descriptors = protox::compile(["common.proto", "yarn.proto"], [&protos])?;
    let out = tempfile::tempdir()?;
    prost_build::Config::new().bytes(["."]).out_dir(out.path()).compile_fds(descriptors)?;
    let mut files = Vec::new();
    for name in ["hadoop.common.rs", "hadoop.yarn.rs"] {
        let text = std::fs::read_to_string(out.path().join(name))?;
        files.push((root.join("src/proto").join(name), format!("{HEADER}{text}")));
    }
    Ok(files)
}

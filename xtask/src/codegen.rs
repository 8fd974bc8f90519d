//! Generates the gRPC code of `crates/rpc` from its `.proto` file, without `protoc`. The output is checked in, so that
//! nobody who builds Kvick needs to run this; a test holds that both agree.

use anyhow::{Context, Result};
use std::path::Path;

/// Where the generated file stands, below the workspace's root.
const GENERATED: &str = "crates/rpc/src/generated/kvick.v1.rs";

/// Writes the generated code into the tree.
pub fn write(root: &Path) -> Result<()> {
    let code = generate(root)?;
    std::fs::write(root.join(GENERATED), code).context("writing the generated code")
}

fn generate(root: &Path) -> Result<String> {
    let protos = root.join("crates/rpc/proto");
    let descriptors =
        protox::compile([protos.join("kvick.proto")], [&protos]).context("compiling kvick.proto")?;
    let out = std::env::temp_dir().join(format!("kvick-codegen-{}", std::process::id()));
    std::fs::create_dir_all(&out)?;
    tonic_prost_build::configure().out_dir(&out).compile_fds(descriptors).context("generating code")?;
    let code = std::fs::read_to_string(out.join("kvick.v1.rs"))?;
    std::fs::remove_dir_all(&out)?;
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_code_is_what_the_proto_file_generates() {
        let root = crate::root();
        let checked_in = std::fs::read_to_string(root.join(GENERATED)).unwrap();
        assert_eq!(checked_in, generate(&root).unwrap(), "run `cargo xtask codegen`");
    }
}

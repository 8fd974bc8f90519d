//! The checked-in protobuf code is what `proto/*.proto` generates.

#[path = "support/codegen.rs"]
mod codegen;

#[test]
fn checked_in_code_is_the_generated_code() -> anyhow::Result<()> {
    for (path, text) in codegen::generate()? {
        let checked_in = std::fs::read_to_string(&path)?;
        assert!(checked_in == text, "{} is stale: cargo run -p kvick-yarn --example codegen", path.display());
    }
    Ok(())
}

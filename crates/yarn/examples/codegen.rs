//! Regenerates `src/proto/*.rs` from `proto/*.proto`, without protoc: `cargo run -p kvick-yarn --example codegen`.
//! With `--check` it writes nothing and fails when the checked-in files differ.

#[path = "../tests/support/codegen.rs"]
mod codegen;

fn main() -> anyhow::Result<()> {
    let check = std::env::args().any(|argument| argument == "--check");
    for (path, text) in codegen::generate()? {
        if !check {
            std::fs::write(&path, text)?;
            println!("wrote {}", path.display());
        } else if std::fs::read_to_string(&path)? != text {
            anyhow::bail!("{} is not what proto/*.proto generates: run without --check", path.display());
        }
    }
    Ok(())
}

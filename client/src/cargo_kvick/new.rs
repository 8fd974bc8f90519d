//! `cargo kvick new`: a project that runs with `cargo run` and packs with `cargo kvick jar`.

use super::options::Options;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Where a checkout has the crate that jobs depend on.
const CRATE: &str = "crates/datastream";

const MAIN: &str = r#"//! Counts words; replace this with your own job.

use kvick::prelude::*;

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let env = StreamExecutionEnvironment::get_execution_environment();

    let lines = match params.get("input") {
        Some(path) => env.read_text_file(path),
        None => env.from_collection(["to be, or not to be".to_string()]),
    };
    lines
        .flat_map(|line, out| {
            let words = line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            words.for_each(|word| out.push((Str::from(word.to_lowercase()), 1_u64)));
        })
        .key_by(|(word, _)| word.clone())
        .sum(|(_, count)| count)
        .print();

    env.execute("NAME")?;
    Ok(())
}
"#;

/// Makes a project.
///
/// # Errors
/// A bad name, a directory that is there already, or no engine.
pub fn run(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments, &["engine-path"], &[])?;
    let [path] = options.rest.as_slice() else { bail!("usage: cargo kvick new NAME [--engine-path DIR]") };
    let directory = PathBuf::from(path);
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    check_name(&name)?;
    let engine = engine(options.get("engine-path"))?;
    if directory.exists() {
        bail!("{path} already exists");
    }
    fs::create_dir_all(directory.join("src")).with_context(|| format!("cannot create {path}"))?;
    let write = |file: &str, text: &str| {
        fs::write(directory.join(file), text).with_context(|| format!("cannot write {path}/{file}"))
    };
    write("Cargo.toml", &manifest(&name, &engine))?;
    write("src/main.rs", &MAIN.replace("NAME", &name))?;
    write(".gitignore", "/target\n")?;
    println!("{path}");
    eprintln!("Run it with `cargo run`, pack it with `cargo kvick jar`.");
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !good {
        bail!(
            "\"{name}\" cannot be the name of a package: use letters, digits, - and _, beginning with a letter"
        );
    }
    Ok(())
}

/// The crate `kvick`, as an absolute path.
fn engine(option: Option<&str>) -> Result<PathBuf> {
    let environment = std::env::var("KVICK_ENGINE_PATH").ok();
    let Some(path) = option.map(str::to_string).or(environment) else {
        bail!("where are Kvick's sources? Name a checkout with --engine-path DIR or in KVICK_ENGINE_PATH");
    };
    let path = fs::canonicalize(&path).with_context(|| format!("cannot find {path}"))?;
    let candidates = [path.join(CRATE), path.clone()];
    match candidates.into_iter().find(|candidate| is_engine(candidate)) {
        Some(found) => Ok(found),
        None => bail!("{} is no checkout of Kvick: it has no {CRATE}/Cargo.toml", path.display()),
    }
}

fn is_engine(path: &Path) -> bool {
    fs::read_to_string(path.join("Cargo.toml")).is_ok_and(|text| text.contains("name = \"kvick\"\n"))
}

fn manifest(name: &str, engine: &Path) -> String {
    // A literal string of TOML: nothing in a path needs escaping but the quote itself, which no checkout has.
    let engine = engine.display();
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         kvick = {{ path = '{engine}' }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n\n\
         [profile.release]\nlto = \"thin\"\n\n# Not part of a workspace that lies above this directory.\n[workspace]\n"
    )
}

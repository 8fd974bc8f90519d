//! `cargo kvick jar`: builds the programs of a package and packs them.

use super::options::Options;
use anyhow::{Context, Result, bail};
use kvick_jar::{HOST_TARGET, PackEntry, PackSpec, pack};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds and packs.
///
/// # Errors
/// The package does not build, has no programs, or the jar cannot be written.
pub fn run(arguments: &[String]) -> Result<()> {
    let valued = ["bin", "main", "entry", "file", "target", "out", "manifest-path"];
    let options = Options::parse(arguments, &valued, &["debug", "release"])?;
    if let Some(stray) = options.rest.first() {
        bail!("unexpected argument \"{stray}\"; see `cargo kvick --help`");
    }
    let package = Package::here(&options)?;
    let mut programs = build(&options, &package)?;
    if programs.is_empty() {
        bail!("the package \"{}\" has no program: it needs a src/main.rs or a [[bin]]", package.name);
    }
    programs.sort();
    let names = Names::of(&options)?;
    let target = options.get("target").unwrap_or(HOST_TARGET);
    let entry = |(name, program): &(String, PathBuf)| PackEntry {
        entry: names.entry(name),
        target: target.to_string(),
        program: program.clone(),
    };
    let spec = PackSpec {
        main_class: main_class(&options, &package, &programs, &names)?,
        entries: programs.iter().map(entry).collect(),
        files: files(&options)?,
    };
    let out = options
        .get("out")
        .map_or_else(|| package.target_directory.join(format!("{}.jar", package.name)), PathBuf::from);
    pack(&spec, &out)?;
    println!("{}", out.display());
    Ok(())
}

/// The names that programs get in the jar.
struct Names(Vec<(String, String)>);

impl Names {
    fn of(options: &Options) -> Result<Names> {
        let mut names = Vec::new();
        for text in options.all("entry") {
            let Some((bin, name)) = text.split_once('=') else { bail!("--entry {text}: expected BIN=NAME") };
            names.push((bin.to_string(), name.to_string()));
        }
        Ok(Names(names))
    }

    fn entry(&self, bin: &str) -> String {
        self.0.iter().find(|(from, _)| from == bin).map_or_else(|| bin.to_string(), |(_, to)| to.clone())
    }
}

/// The package that is packed, as `cargo metadata` describes it.
struct Package {
    name: String,
    default_run: Option<String>,
    target_directory: PathBuf,
    id: String,
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

impl Package {
    fn here(options: &Options) -> Result<Package> {
        let manifest = manifest_path(options)?;
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(&manifest)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            bail!("cargo cannot read {}", manifest.display());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cannot read cargo's answer")?;
        Package::find(&metadata, &manifest)
            .with_context(|| format!("{} describes no package", manifest.display()))
    }

    fn find(metadata: &Value, manifest: &Path) -> Option<Package> {
        let is_this = |package: &&Value| {
            package["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest)
        };
        let package = metadata["packages"].as_array()?.iter().find(is_this)?;
        Some(Package {
            name: package["name"].as_str()?.to_string(),
            default_run: package["default_run"].as_str().map(str::to_string),
            target_directory: PathBuf::from(metadata["target_directory"].as_str()?),
            id: package["id"].as_str()?.to_string(),
        })
    }
}

fn manifest_path(options: &Options) -> Result<PathBuf> {
    if let Some(path) = options.get("manifest-path") {
        return std::fs::canonicalize(path).with_context(|| format!("cannot find {path}"));
    }
    let here = std::env::current_dir().context("there is no current directory")?;
    let found = here.ancestors().map(|directory| directory.join("Cargo.toml")).find(|path| path.is_file());
    found.with_context(|| format!("{} is not inside a package: there is no Cargo.toml", here.display()))
}

/// Builds the programs and returns them by name.
fn build(options: &Options, package: &Package) -> Result<Vec<(String, PathBuf)>> {
    let mut command = cargo();
    command.args(["build", "--message-format=json-render-diagnostics", "--manifest-path"]);
    command.arg(manifest_path(options)?);
    if !options.has("debug") {
        command.arg("--release");
    }
    if let Some(target) = options.get("target") {
        command.args(["--target", target]);
    }
    let mut any = false;
    for bin in options.all("bin") {
        command.args(["--bin", bin]);
        any = true;
    }
    if !any {
        command.arg("--bins");
    }
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the package \"{}\" does not build", package.name);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    Ok(messages.lines().filter_map(|line| program(line, package)).collect())
}

/// The program that a message of cargo tells of.
fn program(line: &str, package: &Package) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let built = message["reason"] == "compiler-artifact" && message["package_id"] == package.id.as_str();
    let is_program = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "bin");
    let path = message["executable"].as_str()?;
    let name = message["target"]["name"].as_str()?;
    (built && is_program).then(|| (name.to_string(), PathBuf::from(path)))
}

/// `--main`, else the package's `default-run`, its only program, or the one that is named like it.
fn main_class(
    options: &Options,
    package: &Package,
    programs: &[(String, PathBuf)],
    names: &Names,
) -> Result<Option<String>> {
    let has = |wanted: &str| programs.iter().any(|(name, _)| names.entry(name) == wanted);
    if let Some(main) = options.get("main") {
        if !has(main) {
            bail!("--main {main}: there is no such program in the jar");
        }
        return Ok(Some(main.to_string()));
    }
    let only = (programs.len() == 1).then(|| programs[0].0.clone());
    let candidates = [package.default_run.clone(), only, Some(package.name.clone())];
    let mut candidates = candidates.into_iter().flatten().map(|name| names.entry(&name));
    Ok(candidates.find(|name| has(name)))
}

fn files(options: &Options) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for text in options.all("file") {
        let path = PathBuf::from(text);
        let Some(name) = path.file_name() else { bail!("--file {text}: that is no file") };
        files.push((name.to_string_lossy().into_owned(), path.clone()));
    }
    Ok(files)
}

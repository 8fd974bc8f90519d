//! House rules that no compiler checks.

use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which of our crates each of our crates may depend on. What is missing here may depend on none.
const MAY_DEPEND: [(&str, &[&str]); 16] = [
    ("crates/core", &[]),
    ("crates/yarn", &[]),
    ("crates/jar", &[]),
    ("crates/process", &[]),
    ("crates/sim", &["kvick-core"]),
    ("crates/filesystem", &["kvick-yarn"]),
    ("crates/rpc", &["kvick-core"]),
    ("crates/storage", &["kvick-core", "kvick-filesystem"]),
    ("crates/ha", &["kvick-core", "kvick-filesystem"]),
    ("crates/runtime", &["kvick-core", "kvick-filesystem", "kvick-storage", "kvick-state-rocksdb"]),
    ("crates/datastream", &["kvick-core", "kvick-runtime"]),
    ("client", &["kvick-core", "kvick-filesystem", "kvick-ha", "kvick-jar", "kvick-rpc", "kvick-yarn"]),
    (
        "appmaster",
        &[
            "kvick-core",
            "kvick-filesystem",
            "kvick-ha",
            "kvick-jar",
            "kvick-process",
            "kvick-rpc",
            "kvick-storage",
            "kvick-yarn",
        ],
    ),
    (
        "taskexecutor",
        &["kvick-core", "kvick-filesystem", "kvick-jar", "kvick-process", "kvick-rpc", "kvick-yarn"],
    ),
    ("examples", &["kvick"]),
    ("xtask", &[]),
];

/// Checks every rule; names every breach.
pub fn check(root: &Path) -> Result<()> {
    let mut breaches = dependency_breaches(root)?;
    breaches.extend(head_comment_breaches(root)?);
    breaches.extend(crate::options::breaches(root)?);
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("{} breaches of the house rules:\n{}", breaches.len(), breaches.join("\n"))
}

fn dependency_breaches(root: &Path) -> Result<Vec<String>> {
    let allowed: BTreeMap<&str, &[&str]> = MAY_DEPEND.into_iter().collect();
    let mut breaches = Vec::new();
    for (dir, may) in allowed {
        let manifest = fs::read_to_string(root.join(dir).join("Cargo.toml"))?;
        let normal = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for dependency in normal.lines().filter_map(our_dependency) {
            if !may.contains(&dependency) {
                breaches.push(format!("{dir} depends on {dependency}: the arrow is not in the map"));
            }
        }
    }
    Ok(breaches)
}

/// The name of the crate of ours that a manifest's line depends on.
fn our_dependency(line: &str) -> Option<&str> {
    let name = line.split(['.', ' ', '=']).next()?;
    let is_dependency = line.contains("workspace = true") && (name == "kvick" || name.starts_with("kvick-"));
    is_dependency.then_some(name)
}

fn head_comment_breaches(root: &Path) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for dir in
        ["client", "appmaster", "taskexecutor", "crates", "examples", "xtask", "integration", "plugins"]
    {
        for file in rust_files(&root.join(dir))? {
            let text = fs::read_to_string(&file)?;
            if !text.trim_start().starts_with("//!")
                && !text.starts_with("// @generated")
                && !is_generated(&file)
            {
                breaches
                    .push(format!("{} does not open with a comment that says what it is", file.display()));
            }
        }
    }
    Ok(breaches)
}

fn is_generated(file: &Path) -> bool {
    file.components().any(|c| c.as_os_str() == "generated" || c.as_os_str() == "proto")
}

/// Every Rust file below a directory, but for what was built.
pub fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(dir) else { return Ok(files) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_keeps_the_house_rules() {
        super::check(&crate::root()).unwrap();
    }
}

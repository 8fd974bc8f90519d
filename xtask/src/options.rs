//! Whether the options of the configuration say truly what they do: one that counts as used is read by the code, one that counts as
//! not supported is not.

use anyhow::{Result, bail};
use std::fs;
use std::path::Path;

/// Where options are declared.
const DECLARATIONS: &str = "crates/core/src/config/options";
/// Whose code may read them.
const READERS: [&str; 4] = ["client", "appmaster", "taskexecutor", "crates"];

/// An option as it is declared.
struct Declared {
    constant: String,
    /// Its key and older names.
    keys: Vec<String>,
    status: String,
}

/// The options that say of themselves what is not so.
pub fn breaches(root: &Path) -> Result<Vec<String>> {
    let options = declared(root)?;
    let code = code(root)?;
    Ok(options.iter().filter_map(|option| breach(option, &code)).collect())
}

fn breach(option: &Declared, code: &str) -> Option<String> {
    let key = option.keys.first()?;
    let is_read = mentions(code, &option.constant)
        || option.keys.iter().any(|key| code.contains(&format!("\"{key}\"")));
    match option.status.as_str() {
        "Used" if !is_read => Some(format!("the option {key} counts as used, and nobody reads it")),
        "NotYet" if is_read => Some(format!("the option {key} counts as not supported, and is read")),
        _ => None,
    }
}

/// Whether a word stands in a text, and not only as a part of another.
fn mentions(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        !is_part(text[..at].chars().next_back()) && !is_part(text[at + word.len()..].chars().next())
    })
}

fn declared(root: &Path) -> Result<Vec<Declared>> {
    let mut options = Vec::new();
    for file in super::rules::rust_files(&root.join(DECLARATIONS))? {
        options.extend(fs::read_to_string(file)?.lines().filter_map(declaration));
    }
    if options.len() < 200 {
        bail!("only {} options are found in {DECLARATIONS}: are they declared otherwise now?", options.len());
    }
    Ok(options)
}

/// `NAME: Type = "key" | "older name", "default", Status;`
fn declaration(line: &str) -> Option<Declared> {
    let (left, right) = line.trim().strip_suffix(';')?.split_once(" = \"")?;
    let constant = left.split_once(": ")?.0;
    if !constant.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
        return None;
    }
    let (names, _) = right.split_once("\", ")?;
    let keys = names.split("\" | \"").map(str::to_string).collect();
    let (_, status) = right.rsplit_once(", ")?;
    Some(Declared { constant: constant.to_string(), keys, status: status.to_string() })
}

/// All code that is run: without declarations, comments and tests.
fn code(root: &Path) -> Result<String> {
    let mut code = String::new();
    for dir in READERS {
        for file in super::rules::rust_files(&root.join(dir))? {
            if is_code(root, &file) {
                let text = fs::read_to_string(file)?;
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                lines.for_each(|line| code.extend([line, "\n"]));
            }
        }
    }
    Ok(code)
}

fn is_code(root: &Path, file: &Path) -> bool {
    let is_test = file.components().any(|part| {
        let name = part.as_os_str();
        name == "tests" || name == "tests.rs" || name == "benches" || name == "testing.rs"
    });
    !is_test && !file.starts_with(root.join(DECLARATIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str, code: &str) -> Option<String> {
        breach(&declaration(line).unwrap(), code)
    }

    #[test]
    fn a_status_that_is_not_so_is_found() {
        let used = r#"    A_KEY: Option<u32> = "a.key" | "old.key", none, Used;"#;
        assert_eq!(told(used, "config.get(&options::A_KEY)"), None);
        assert_eq!(told(used, "config.raw(\"old.key\")"), None);
        assert!(told(used, "config.get(&options::A_KEY_MORE)").unwrap().contains("nobody reads it"));
        let not_yet = r#"    B: String = "b", "x, y", NotYet;"#;
        assert_eq!(told(not_yet, "a B2"), None);
        assert!(told(not_yet, "config.get(&B)").unwrap().contains("is read"));
        assert!(declaration("    /// A sentence = \"text\", Used;").is_none());
    }
}

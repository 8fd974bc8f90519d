//! The configuration directory and the file in it: `flink-conf.yaml` (flat) where there is one, else `config.yaml` (YAML).

use crate::console;
use anyhow::{Context, Result, anyhow, bail};
use kvick_core::config::{Configuration, FlatEntry, parse_flat};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The flat file of older versions; it wins.
const FLAT: &str = "flink-conf.yaml";
/// The YAML file since 1.19.
const YAML: &str = "config.yaml";

/// Why there is no configuration at all; the client then ends with an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoConfDir(pub String);

/// What a configuration file says.
#[derive(Debug)]
pub struct Loaded {
    /// The file's path; empty where there is none.
    pub path: String,
    /// Its content.
    pub config: Configuration,
}

/// `FLINK_CONF_DIR`, which must exist; else `conf` beside the program's directory, `../conf` or `conf`.
///
/// # Errors
/// [`NoConfDir`].
pub fn conf_dir() -> Result<PathBuf, NoConfDir> {
    if let Some(dir) = std::env::var_os("FLINK_CONF_DIR").filter(|dir| !dir.is_empty()) {
        let dir = PathBuf::from(dir);
        return match dir.is_dir() {
            true => Ok(dir),
            false => Err(NoConfDir(format!(
                "The configuration directory '{}', specified in the 'FLINK_CONF_DIR' environment variable, does not exist.",
                dir.display()
            ))),
        };
    }
    let candidates = [home().map(|home| home.join("conf")), Some("../conf".into()), Some("conf".into())];
    candidates.into_iter().flatten().find(|dir| dir.is_dir()).ok_or_else(|| {
        NoConfDir(
            "The configuration directory was not found. Please configure the 'FLINK_CONF_DIR' environment variable."
                .to_string(),
        )
    })
}

/// The distribution that this program belongs to: the directory above `bin`.
pub fn home() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    program.parent()?.parent().map(Path::to_path_buf)
}

/// Reads the configuration file of a directory; none is an empty configuration.
///
/// # Errors
/// A file that cannot be read or is no YAML, with the place.
pub fn load(dir: &Path) -> Result<Loaded> {
    for (name, read) in [(FLAT, flat as fn(&Path, &str) -> Result<Configuration>), (YAML, yaml)] {
        let path = dir.join(name);
        if path.is_file() {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("Could not read the configuration file {}", path.display()))?;
            return Ok(Loaded { path: path.display().to_string(), config: read(&path, &text)? });
        }
    }
    Ok(Loaded { path: String::new(), config: Configuration::default() })
}

fn flat(path: &Path, text: &str) -> Result<Configuration> {
    let mut config = Configuration::default();
    for entry in parse_flat(text) {
        match entry {
            FlatEntry::Pair { key, value, .. } => config.set(key, value),
            FlatEntry::Malformed { line, text } => console::warn(
                console::CONFIGURATION,
                format!("Line {line} of {} is not 'key: value' and is left out: {text}", path.display()),
            ),
        }
    }
    Ok(config)
}

/// Any YAML value.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Value {
    Null(()),
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

fn yaml(path: &Path, text: &str) -> Result<Configuration> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Configuration::default());
    }
    let value: Value =
        serde_saphyr::from_str(text).map_err(|e| anyhow!("{} is no YAML: {e}", path.display()))?;
    let mut config = Configuration::default();
    let Value::Map(map) = value else {
        bail!("{} is no YAML mapping of keys to values", path.display());
    };
    flatten("", map, &mut config);
    Ok(config)
}

/// Nested keys become one with dots between; lists are joined with `;`.
fn flatten(prefix: &str, map: BTreeMap<String, Value>, config: &mut Configuration) {
    for (key, value) in map {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Map(map) => flatten(&key, map, config),
            other => {
                if let Some(text) = scalar(other) {
                    config.set(key, text);
                }
            }
        }
    }
}

fn scalar(value: Value) -> Option<String> {
    match value {
        Value::Null(()) | Value::Map(_) => None,
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Text(value) => Some(value),
        Value::List(values) => Some(values.into_iter().filter_map(scalar).collect::<Vec<_>>().join(";")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(files: &[(&str, &str)]) -> Loaded {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        load(dir.path()).unwrap()
    }

    #[test]
    fn yaml_may_be_nested_or_flat_and_keeps_text_as_it_is() {
        let text = "# head\njobmanager:\n  memory:\n    process:\n      size: 1600m\nparallelism.default: 2\nenv.log.level: 'DEBUG'\n\
                    yarn.ship-files: [a, b]\nempty:\nrest:\n  port: 8081\nversion: 1.10\n";
        let config = written(&[(YAML, text)]).config;
        assert_eq!(config.raw("jobmanager.memory.process.size"), Some("1600m"));
        assert_eq!(config.raw("parallelism.default"), Some("2"));
        assert_eq!(config.raw("yarn.ship-files"), Some("a;b"));
        assert_eq!((config.raw("rest.port"), config.raw("empty")), (Some("8081"), None));
    }

    #[test]
    fn the_flat_file_wins() {
        let loaded = written(&[(YAML, "a.b: 1\n"), (FLAT, "a.b: 2\nno pair\n")]);
        assert_eq!(loaded.config.raw("a.b"), Some("2"));
        assert!(loaded.path.ends_with(FLAT));
    }

    #[test]
    fn no_file_and_an_empty_file_are_no_configuration() {
        assert_eq!(written(&[]).config, Configuration::default());
        assert_eq!(written(&[(YAML, "# nothing\n\n")]).config, Configuration::default());
    }

    #[test]
    fn broken_yaml_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(YAML), "a: [1\nb: }\n").unwrap();
        let error = load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("config.yaml is no YAML"), "{error}");
    }
}

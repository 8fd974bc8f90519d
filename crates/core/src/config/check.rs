//! What can be said of a configuration without running anything: mistyped keys, bad values, keys without effect; and
//! which values must not be shown.

use super::options::{self, OptionInfo, Status};
use super::{ConfigError, Configuration};
use std::fmt;

/// Parts of key names whose values are never shown (`GlobalConfiguration.SENSITIVE_KEYS`).
const SECRET_PARTS: &[&str] = &[
    "password",
    "secret",
    "fs.azure.account.key",
    "apikey",
    "api-key",
    "auth-params",
    "service-key",
    "token",
    "basic-auth",
    "jaas.config",
    "http-headers",
];

/// Whether the value of a key is a secret.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    // `security.delegation.tokens.enabled` and the like are switches, not secrets.
    !key.starts_with("security.delegation.token") && SECRET_PARTS.iter().any(|part| key.contains(part))
}

/// The value as it may be shown: `******` for secrets.
pub fn shown<'a>(key: &str, value: &'a str) -> &'a str {
    if is_secret(key) { "******" } else { value }
}

/// Something to tell the user about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The value is not of the option's type.
    BadValue(ConfigError),
    /// No option has this name, though others of its family exist.
    UnknownKey {
        /// The key.
        key: String,
        /// The option's name that looks most like it.
        nearest: Option<&'static str>,
    },
    /// The option is known and has no meaning in a native process.
    WithoutMeaning(&'static OptionInfo),
    /// The option of this key is known and this version does not support it yet.
    Unsupported(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::BadValue(error) => error.fmt(f),
            Finding::UnknownKey { key, nearest: Some(nearest) } => {
                write!(f, "The configuration key '{key}' is not known; did you mean '{nearest}'?")
            }
            Finding::UnknownKey { key, nearest: None } => {
                write!(f, "The configuration key '{key}' is not known.")
            }
            Finding::WithoutMeaning(option) => {
                write!(f, "The option '{}' has no meaning in a native process and is ignored.", option.key)
            }
            Finding::Unsupported(key) => {
                write!(f, "The option '{key}' is not supported by this version yet and is ignored.")
            }
        }
    }
}

/// Refuses a configuration with a value that is not of its option's type, whoever would read it and when.
///
/// # Errors
/// The first such value, in the order of keys.
pub fn check_values(config: &Configuration) -> Result<(), ConfigError> {
    let bad = check(config).into_iter().find_map(|finding| match finding {
        Finding::BadValue(error) => Some(error),
        _ => None,
    });
    bad.map_or(Ok(()), Err)
}

/// Looks at every key of a configuration. An option that is not supported is worth a word only where its value is not what
/// would hold without it.
pub fn check(config: &Configuration) -> Vec<Finding> {
    config.0.iter().filter_map(|(key, value)| check_key(key, value)).collect()
}

fn check_key(key: &str, value: &str) -> Option<Finding> {
    if options::is_unsupported(key) {
        return Some(Finding::Unsupported(key.to_string()));
    }
    let Some(option) = options::find(key) else {
        let unknown = options::is_known_family(key) && !options::is_open(key);
        return unknown.then(|| Finding::UnknownKey { key: key.to_string(), nearest: nearest(key) });
    };
    if !option.kind.accepts(value) {
        return Some(Finding::BadValue(ConfigError {
            key: key.to_string(),
            value: shown(key, value).to_string(),
            expected: option.kind.expected(),
        }));
    }
    match option.status {
        Status::Used => None,
        Status::NoMeaning => Some(Finding::WithoutMeaning(option)),
        Status::NotYet if option.default == Some(value) => None,
        Status::NotYet => Some(Finding::Unsupported(option.key.to_string())),
    }
}

/// The known name nearest to a key, if one is near enough to be what was meant.
fn nearest(key: &str) -> Option<&'static str> {
    let names = options::all().flat_map(|o| std::iter::once(o.key).chain(o.aliases.iter().copied()));
    let best = names.map(|name| (edit_distance(key, name), name)).min()?;
    (best.0 <= 2 + key.len() / 10).then_some(best.1)
}

/// Levenshtein's distance: insertions, deletions and replacements that make one text the other.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(key: &str, value: &str) -> Vec<String> {
        let config: Configuration = [(key, value)].into_iter().collect();
        check(&config).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_mistyped_key_gets_the_nearest_one() {
        assert_eq!(
            found("taskmanager.numberOfTaskSlot", "2"),
            [
                "The configuration key 'taskmanager.numberOfTaskSlot' is not known; did you mean 'taskmanager.numberOfTaskSlots'?"
            ]
        );
        assert_eq!(
            found("yarn.something.else.entirely", "2"),
            ["The configuration key 'yarn.something.else.entirely' is not known."]
        );
    }

    #[test]
    fn foreign_and_open_families_are_left_alone() {
        for key in
            ["my.own.key", "containerized.master.env.X", "metrics.reporter.prom.port", "flink.hadoop.fs.x"]
        {
            assert_eq!(found(key, "v"), Vec::<String>::new(), "{key}");
        }
    }

    #[test]
    fn bad_values_and_keys_without_effect_are_told() {
        assert!(found("parallelism.default", "two")[0].contains("expected a whole number"));
        assert_eq!(
            found("env.java.opts.all", "-Xss2m"),
            ["The option 'env.java.opts.all' has no meaning in a native process and is ignored."]
        );
        let unsupported =
            "The option 'rest.flamegraph.enabled' is not supported by this version yet and is ignored.";
        assert_eq!(found("rest.flamegraph.enabled", "true"), [unsupported]);
        assert_eq!(found("rest.flamegraph.enabled", "false"), Vec::<String>::new());
    }

    #[test]
    fn of_rocksdbs_keys_each_is_known_as_working_as_not_yet_working_or_not_at_all() {
        assert_eq!(found("state.backend.rocksdb.block.cache-size", "64mb"), Vec::<String>::new());
        for (key, value) in [
            ("state.backend.rocksdb.files.open", "100"),
            ("state.backend.rocksdb.metrics.block-cache-usage", "true"),
        ] {
            let told = format!("The option '{key}' is not supported by this version yet and is ignored.");
            assert_eq!(found(key, value), [told]);
        }
        assert_eq!(
            found("state.backend.rocksdb.block.cachesize", "64mb"),
            ["The configuration key 'state.backend.rocksdb.block.cachesize' is not known; did you mean \
                 'state.backend.rocksdb.block.cache-size'?"]
        );
    }

    #[test]
    fn a_value_that_is_none_is_refused_under_the_name_that_was_used() {
        let config: Configuration =
            [("my.key", "v"), ("pipeline.operator-chaining", "nope")].into_iter().collect();
        let refused = check_values(&config).unwrap_err();
        assert_eq!((refused.key.as_str(), refused.value.as_str()), ("pipeline.operator-chaining", "nope"));
        assert_eq!(check_values(&[("pipeline.operator-chaining", "False")].into_iter().collect()), Ok(()));
    }

    #[test]
    fn secrets_are_masked() {
        for key in ["s3.secret-key", "fs.azure.account.key.x", "my.API-KEY", "metrics.reporter.x.basic-auth"]
        {
            assert_eq!(shown(key, "v"), "******", "{key}");
        }
        assert_eq!(shown("rest.port", "8081"), "8081");
    }

    #[test]
    fn edit_distance_counts_single_changes() {
        for (a, b, distance) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ab", "ba", 2)]
        {
            assert_eq!(edit_distance(a, b), distance);
        }
    }
}

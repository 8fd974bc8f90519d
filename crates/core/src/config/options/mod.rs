//! Every option: key, older names, type, default, documentation, and whether it has an effect here.
//!
//! Keys and defaults are those of Flink 1.20. An option is a constant; the constants of one family stand in one file.

mod checkpointing;
mod client;
mod cluster;
mod environment;
mod memory;
mod network;
mod rocksdb;
mod security;
mod web;
mod yarn;

pub use checkpointing::*;
pub use client::*;
pub use cluster::*;
pub use environment::*;
pub use memory::*;
pub use network::*;
pub use rocksdb::*;
pub use security::*;
pub use web::*;
pub use yarn::*;

use super::value::ValueKind;
use std::marker::PhantomData;

/// Whether an option does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has its effect.
    Used,
    /// Accepted; there is nothing in a native process that it could change.
    NoMeaning,
    /// Accepted; this version does not do what it asks for.
    NotYet,
}

/// What is known of an option, whatever its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionInfo {
    /// Its name.
    pub key: &'static str,
    /// Older names that still count.
    pub aliases: &'static [&'static str],
    /// The form of its values.
    pub kind: ValueKind,
    /// The value where none is set.
    pub default: Option<&'static str>,
    /// What it is for.
    pub doc: &'static str,
    /// Whether it does something.
    pub status: Status,
}

/// An option whose values are of type `T`; `T` is an `Option` where there is no default.
#[derive(Debug)]
pub struct ConfigOption<T> {
    /// What is known of it.
    pub info: OptionInfo,
    value: PhantomData<fn() -> T>,
}

impl<T> ConfigOption<T> {
    const fn new(info: OptionInfo) -> ConfigOption<T> {
        ConfigOption { info, value: PhantomData }
    }

    /// Its name.
    pub const fn key(&self) -> &'static str {
        self.info.key
    }
}

/// Declares the options of a family: a constant each, and the table of all of them.
macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $key:literal $(| $alias:literal)*, $default:tt, $status:ident;)*) => {
        $(
            $(#[doc = $doc])+
            #[doc = concat!(" (`", $key, "`)")]
            pub const $name: crate::config::options::ConfigOption<$type> =
                crate::config::options::ConfigOption::new(crate::config::options::OptionInfo {
                    key: $key,
                    aliases: &[$($alias),*],
                    kind: <$type as crate::config::value::ConfigValue>::KIND,
                    default: crate::config::options::options!(@default $default),
                    doc: concat!($($doc),+),
                    status: crate::config::options::Status::$status,
                });
        )*
        pub(super) const TABLE: &[crate::config::options::OptionInfo] = &[$($name.info),*];
    };
    (@default none) => { None };
    (@default $default:literal) => { Some($default) };
}
use options;

const TABLES: &[&[OptionInfo]] = &[
    checkpointing::TABLE,
    client::TABLE,
    cluster::TABLE,
    environment::TABLE,
    memory::TABLE,
    network::TABLE,
    rocksdb::TABLE,
    security::TABLE,
    web::TABLE,
    yarn::TABLE,
];

/// Prefixes below which any key may stand: they name things that users define.
const OPEN: &[&str] = &[
    "containerized.master.env.",
    "containerized.taskmanager.env.",
    "yarn.application-master.env.",
    "yarn.taskmanager.env.",
    "flink.yarn.",
    "flink.hadoop.",
    "metrics.reporter.",
    "metrics.scope.",
    "external-resource.",
    "security.delegation.token.provider.",
    "security.kerberos.token.provider.",
    "pipeline.global-job-parameters",
    "env.java.",
    "s3.",
    "fs.s3",
    "fs.azure",
    "fs.gs",
    "fs.oss",
    "python.",
    "table.",
    "sql-gateway.",
    "kubernetes.",
    "$internal.",
];

/// Prefixes below which keys are Flink's own, and do nothing here.
const UNSUPPORTED: &[&str] = &["state.backend.rocksdb.metrics.", "state.backend.rocksdb.manual-compaction."];

/// Every option.
pub fn all() -> impl Iterator<Item = &'static OptionInfo> {
    TABLES.iter().copied().flatten()
}

/// The option that has this name, now or formerly.
pub fn find(key: &str) -> Option<&'static OptionInfo> {
    all().find(|option| option.key == key || option.aliases.contains(&key))
}

/// The other names of the option that has this name.
pub fn names_beside(key: &str) -> impl Iterator<Item = &'static str> + use<'_> {
    let option = find(key);
    let names = option.into_iter().flat_map(|o| std::iter::once(o.key).chain(o.aliases.iter().copied()));
    names.filter(move |name| *name != key)
}

/// Whether users may put keys of their own under this name.
pub fn is_open(key: &str) -> bool {
    OPEN.iter().any(|prefix| key.starts_with(prefix))
}

/// Whether a key is one of a family of which this version supports nothing.
pub fn is_unsupported(key: &str) -> bool {
    UNSUPPORTED.iter().any(|prefix| key.starts_with(prefix))
}

/// Whether some option has the same first part of its name.
pub fn is_known_family(key: &str) -> bool {
    let family = |key: &str| key.split('.').next().unwrap_or_default().to_string();
    let asked = family(key);
    key.contains('.') && all().any(|option| family(option.key) == asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_default_is_of_its_options_type_and_every_name_is_used_once() {
        let mut names = BTreeSet::new();
        for option in all() {
            if let Some(default) = option.default {
                assert!(option.kind.accepts(default), "{} = {default}", option.key);
            }
            for name in std::iter::once(&option.key).chain(option.aliases) {
                assert!(names.insert(*name), "{name} is declared twice");
            }
        }
        assert!(names.len() > 200, "{}", names.len());
    }
}

//! The part of the application master's settings that the REST API and the driver read.

use kvick_core::application_spec::ApplicationSpec;
use kvick_core::config::Configuration;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// As in the program, without what only YARN gives.
#[derive(Debug)]
pub struct Settings {
    /// The attempt.
    pub epoch: u64,
    /// The host.
    pub host: String,
    /// The log directory.
    pub log_dir: PathBuf,
    /// The container's working directory.
    pub work_dir: PathBuf,
    /// What the client asked for.
    pub spec: ApplicationSpec,
    /// The effective configuration.
    pub config: Configuration,
    /// Resolved Hadoop properties.
    pub hadoop: BTreeMap<String, String>,
}

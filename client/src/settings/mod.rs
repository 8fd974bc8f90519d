//! The second stage: what the command line, the configuration files and the properties file of a session mean together.
//!
//! Reads files and the environment, and nothing else: no process is started and nobody is called.

pub mod files;
pub mod properties;
mod target;

pub use properties::SessionProperties;
pub use target::Target;

use crate::args::{ClusterArgs, ProgramArgs};
use crate::console;
use anyhow::Result;
use kvick_core::config::options::ConfigOption;
use kvick_core::config::{Configuration, Finding, Layers, Origin, check, options};

/// What `-m` says for a new cluster on YARN.
pub const YARN_CLUSTER: &str = "yarn-cluster";

/// Everything that was decided before the action begins.
#[derive(Debug)]
pub struct Settings {
    /// The effective configuration.
    pub config: Configuration,
    /// Where its values came from.
    pub layers: Layers,
    /// Where the action takes place.
    pub target: Target,
    /// The session that a properties file names, where it decided the target.
    pub session: Option<SessionProperties>,
}

impl Settings {
    /// Resolves the options that are common to all actions.
    ///
    /// # Errors
    /// No configuration directory, a file that cannot be read, a value that is none, a broken properties file.
    pub fn resolve(args: &ClusterArgs) -> Result<Settings> {
        let conf_dir = files::conf_dir()?;
        let file = files::load(&conf_dir)?;
        let mut layers = Layers::new();
        layers.push(Origin::File(file.path.clone()), file.config.clone());
        let flags = flags(args);
        let dynamic: Configuration = args.dynamic.iter().cloned().collect();
        let session = target::session_of(args, &file.config, &flags, &dynamic)?;
        if let Some(session) = &session {
            let origin = Origin::SessionProperties(session.path.display().to_string());
            layers.push(origin, session.dynamic.clone());
        }
        layers.push(Origin::Flag, flags);
        layers.push(Origin::Dynamic, dynamic);
        let config = layers.effective();
        let target = target::select(args, &file.config, &config, session.as_ref())?;
        Ok(Settings { config, layers, target, session })
    }

    /// Adds what only `run` and its kin say. Their own options are the strongest.
    pub fn with_program(mut self, args: &ProgramArgs) -> Settings {
        self.layers.push(Origin::Flag, program_flags(args));
        self.config = self.layers.effective();
        self
    }

    /// Tells what is odd about the configuration: mistyped keys, values that are none, options that were asked for on the
    /// command line and do nothing.
    ///
    /// # Errors
    /// The first value that is not of its option's type.
    pub fn report(&self, warnings: &[String]) -> Result<()> {
        for warning in warnings {
            console::warn(console::SESSION_CLI, warning);
        }
        for finding in check(&self.config) {
            match finding {
                Finding::BadValue(error) => return Err(error.into()),
                Finding::UnknownKey { .. } | Finding::Unsupported(_) => {
                    console::warn(console::CONFIGURATION, finding.to_string());
                }
                // A configuration file may be shared with Flink: only what was just typed is worth a word.
                Finding::WithoutMeaning(option) if self.layers.origin(option.key) == Origin::Dynamic => {
                    console::warn(console::CONFIGURATION, finding.to_string());
                }
                Finding::WithoutMeaning(_) => {}
            }
        }
        Ok(())
    }
}

fn flags(args: &ClusterArgs) -> Configuration {
    let mut flags = Configuration::default();
    let mebibytes = |size: kvick_core::config::MemorySize| format!("{}b", size.0);
    put(&mut flags, &options::TARGET, args.target.clone());
    put(&mut flags, &options::YARN_APPLICATION_ID, args.application_id.clone());
    put(&mut flags, &options::HA_CLUSTER_ID, args.namespace.clone());
    put(&mut flags, &options::JM_PROCESS, args.job_manager_memory.map(mebibytes));
    put(&mut flags, &options::TM_PROCESS, args.task_manager_memory.map(mebibytes));
    put(&mut flags, &options::TASK_SLOTS, args.slots.map(|slots| slots.to_string()));
    put(&mut flags, &options::YARN_QUEUE, args.queue.clone());
    put(&mut flags, &options::YARN_NAME, args.name.clone());
    put(&mut flags, &options::YARN_TYPE, args.application_type.clone());
    put(&mut flags, &options::YARN_NODE_LABEL, args.node_label.clone());
    put(&mut flags, &options::YARN_SHIP_FILES, (!args.ship.is_empty()).then(|| args.ship.join(";")));
    flags
}

fn program_flags(args: &ProgramArgs) -> Configuration {
    let mut flags = Configuration::default();
    put(&mut flags, &options::PARALLELISM, args.parallelism.map(|p| p.to_string()));
    put(&mut flags, &options::ATTACHED, Some((!args.cluster.detached).to_string()));
    put(&mut flags, &options::SHUTDOWN_ON_EXIT, args.shutdown_on_exit.then(|| "true".to_string()));
    put(&mut flags, &options::RESTORE_PATH, args.savepoint.clone());
    put(&mut flags, &options::RESTORE_IGNORE, args.allow_non_restored.then(|| "true".to_string()));
    put(&mut flags, &options::RESTORE_CLAIM, args.claim_mode.map(str::to_string));
    flags
}

fn put<T>(flags: &mut Configuration, option: &ConfigOption<T>, value: Option<String>) {
    if let Some(value) = value {
        flags.set_option(option, value);
    }
}

#[cfg(test)]
mod tests;

//! What YARN is told: the submission of an application with its files, its environment and its secrets. Pure.

use super::checks::Label;
use super::hadoop::Hadoop;
use super::sizes::Sizes;
use super::wanted::Files;
use crate::console;
use anyhow::{Result, bail};
use kvick_core::application_spec::{
    APPLICATION_SECRET, ApplicationSpec, CONFIG_SECRET, HADOOP_SECRET, LocalFile, SHARED_SECRET, Visibility,
};
use kvick_core::config::Configuration;
use kvick_core::config::options::{self, OptionInfo};
use kvick_core::ha::HaKind;
use kvick_core::launch::{LOG_FILES_ENV, LOG_LEVEL_ENV, MASTER_PROGRAM};
use kvick_yarn::credentials::Credentials;
use kvick_yarn::ids::ApplicationId;
use kvick_yarn::records::{
    AccessType, LaunchContext, LocalResource, LocalResourceType, Resource, SubmissionContext,
    Visibility as YarnVisibility,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a cluster starts an application master at most.
const MAX_ATTEMPTS: &str = "yarn.resourcemanager.am.max-attempts";
const MASTER_ENV: &str = "containerized.master.env.";
const EXECUTOR_ENV: &str = "containerized.taskmanager.env.";

/// The whole submission of one application.
pub struct Submission<'a> {
    /// Its id.
    pub id: ApplicationId,
    /// Its name, type, queue and tags.
    pub label: &'a Label,
    /// Its containers.
    pub sizes: &'a Sizes,
    /// Its effective configuration.
    pub config: &'a Configuration,
    /// The files of the application master's container.
    pub files: &'a Files,
    /// What the application master is told.
    pub spec: &'a ApplicationSpec,
    /// Hadoop's configuration and the user.
    pub hadoop: &'a Hadoop,
}

impl Submission<'_> {
    /// For the ResourceManager.
    ///
    /// # Errors
    /// Access lists that YARN does not take, or values that are none.
    pub fn context(&self) -> Result<SubmissionContext> {
        let launch = LaunchContext {
            resources: self.files.iter().map(|(name, file)| (name.clone(), local_resource(file))).collect(),
            env: self.environment(),
            command: vec![command()],
            credentials: self.credentials()?,
            acls: acls(self.config)?,
            ..LaunchContext::default()
        };
        let mut context = SubmissionContext::new(self.id, &self.label.name, launch);
        context.queue = self.label.queue.clone();
        context.priority = self.label.priority;
        context.resource = Resource::new(self.sizes.master_mb(), self.sizes.master_vcores);
        context.application_type = self.label.kind.clone();
        context.tags = self.label.tags.clone();
        let kind = HaKind::from_config(self.config)?;
        context.max_attempts = self.attempts(kind)?;
        context.failures_validity = window(self.config)?.filter(|_| context.max_attempts > 1);
        // Task executors and what they run wait for the next attempt, if it can know of them.
        context.keep_containers = context.max_attempts > 1 && kind != HaKind::None;
        context.node_label = self.config.get(&options::YARN_NODE_LABEL)?;
        Ok(context)
    }

    /// How often YARN may start the application master; the cluster has the last word, so nobody is promised more.
    fn attempts(&self, kind: HaKind) -> Result<u32> {
        let most = self.hadoop.conf.get_u64(MAX_ATTEMPTS, 2)?;
        let most = u32::try_from(most).unwrap_or(u32::MAX).max(1);
        let asked = kind.attempts(self.config, most)?;
        if asked > most {
            console::warn(
                console::DESCRIPTOR,
                format!(
                    "{} is {asked}, but this cluster starts an application master at most {most} times ({MAX_ATTEMPTS})",
                    options::YARN_ATTEMPTS.key()
                ),
            );
        }
        Ok(asked.min(most))
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let mut env = BTreeMap::from([
            ("HADOOP_USER_NAME".to_string(), self.hadoop.user.clone()),
            ("_APP_ID".to_string(), self.id.to_string()),
        ]);
        if let Some(staging) = &self.spec.staging_dir {
            env.insert("_FLINK_YARN_FILES".to_string(), staging.clone());
        }
        env.extend(log_env(self.config));
        env.extend(custom_env(self.config, MASTER_ENV));
        env
    }

    /// The environment's tokens, and as secrets everything that the application master must know.
    fn credentials(&self) -> Result<Credentials> {
        let mut credentials = Credentials::from_environment()?;
        credentials.add_secret(CONFIG_SECRET, serde_json::to_vec(self.config)?);
        credentials.add_secret(APPLICATION_SECRET, serde_json::to_vec(self.spec)?);
        credentials.add_secret(HADOOP_SECRET, serde_json::to_vec(&self.hadoop.properties())?);
        credentials.add_secret(SHARED_SECRET, shared_secret()?);
        Ok(credentials)
    }
}

/// 32 random bytes as hexadecimal digits.
fn shared_secret() -> Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The environment of task executors beyond what they need.
pub fn executor_env(config: &Configuration) -> BTreeMap<String, String> {
    log_env(config).chain(custom_env(config, EXECUTOR_ENV)).collect()
}

/// How much containers log and keep, as Flink's scripts tell its processes: `env.log.level`, `env.log.max`.
fn log_env(config: &Configuration) -> impl Iterator<Item = (String, String)> + '_ {
    let told = [(&options::LOG_LEVEL.info, LOG_LEVEL_ENV), (&options::LOG_MAX.info, LOG_FILES_ENV)];
    let set = move |(option, name): (&'static OptionInfo, &str)| {
        config.entry(option).map(|(_, value)| (name.to_string(), value.to_string()))
    };
    told.into_iter().filter_map(set)
}

fn custom_env<'a>(config: &'a Configuration, prefix: &'a str) -> impl Iterator<Item = (String, String)> + 'a {
    config.below(prefix).map(|(name, value)| (name.to_string(), value.to_string()))
}

fn command() -> String {
    format!("exec ./{MASTER_PROGRAM} 1><LOG_DIR>/jobmanager.out 2><LOG_DIR>/jobmanager.err")
}

fn local_resource(file: &LocalFile) -> LocalResource {
    LocalResource {
        url: file.uri.clone(),
        size: file.size,
        timestamp: file.timestamp,
        kind: if file.archive { LocalResourceType::Archive } else { LocalResourceType::File },
        visibility: match file.visibility {
            Visibility::Public => YarnVisibility::Public,
            Visibility::Private => YarnVisibility::Private,
            Visibility::Application => YarnVisibility::Application,
        },
    }
}

fn window(config: &Configuration) -> Result<Option<Duration>> {
    let millis = config.get(&options::YARN_ATTEMPT_WINDOW)?;
    Ok(u64::try_from(millis).ok().map(Duration::from_millis))
}

fn acls(config: &Configuration) -> Result<BTreeMap<AccessType, String>> {
    let mut acls = BTreeMap::new();
    let lists = [
        (&options::YARN_VIEW_ACLS, AccessType::ViewApp),
        (&options::YARN_MODIFY_ACLS, AccessType::ModifyApp),
    ];
    for (option, access) in lists {
        let Some(list) = config.get(option)? else { continue };
        if list.contains('*') && list.trim() != "*" {
            bail!(
                "{} is '{list}': a '*' must stand alone; else name users and groups as 'user1,user2 group1'",
                option.key()
            );
        }
        acls.insert(access, list);
    }
    Ok(acls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_log_what_is_configured_unless_their_environment_says_otherwise() {
        let mut config: Configuration =
            [("env.log.level", "DEBUG"), ("env.log.max", "3")].into_iter().collect();
        let env = |config: &Configuration| -> Vec<String> {
            executor_env(config).iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        assert_eq!(env(&config), ["MAX_LOG_FILE_NUMBER=3", "ROOT_LOG_LEVEL=DEBUG"]);
        config.set("containerized.taskmanager.env.ROOT_LOG_LEVEL", "WARN");
        assert_eq!(env(&config), ["MAX_LOG_FILE_NUMBER=3", "ROOT_LOG_LEVEL=WARN"]);
        assert!(executor_env(&Configuration::default()).is_empty());
    }
}

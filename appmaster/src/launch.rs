//! The launch context of a task executor's container: its files, environment, command and credentials.

use crate::settings::Settings;
use kvick_core::application_spec::{APPLICATION_SECRET, LocalFile, Visibility};
use kvick_core::launch::{EPOCH_ENV, EXECUTOR_PROGRAM, HA_DIR_ENV, MASTER_ENV, SLOTS_ENV};
use kvick_ha::HaSettings;
use kvick_yarn::credentials::{AM_RM_TOKEN, Credentials};
use kvick_yarn::records;
use kvick_yarn::records::{LaunchContext, LocalResource, LocalResourceType};
use std::collections::BTreeMap;

/// The launch context for a task executor that finds its application master at this port.
pub fn executor_context(settings: &Settings, port: u16) -> LaunchContext {
    let resources = settings.spec.executor_files.iter();
    LaunchContext {
        resources: resources.map(|(name, file)| (name.clone(), local_resource(file))).collect(),
        env: environment(settings, port),
        command: vec![format!(
            "exec ./{EXECUTOR_PROGRAM} 1><LOG_DIR>/taskmanager.out 2><LOG_DIR>/taskmanager.err"
        )],
        credentials: executor_credentials(&settings.credentials),
        ..LaunchContext::default()
    }
}

fn environment(settings: &Settings, port: u16) -> BTreeMap<String, String> {
    let own = [
        (MASTER_ENV, format!("{}:{port}", settings.host)),
        (EPOCH_ENV, settings.epoch.key()),
        (SLOTS_ENV, settings.spec.executor.slots.to_string()),
        ("HADOOP_USER_NAME", settings.spec.user.clone()),
    ];
    let ha = HaSettings::from_config(&settings.config, settings.spec.staging_dir.as_deref()).ok();
    let mut env: BTreeMap<String, String> = settings.spec.executor_env.clone();
    env.extend(ha.and_then(|ha| ha.directory).map(|directory| (HA_DIR_ENV.to_string(), directory)));
    env.extend(own.map(|(name, value)| (name.to_string(), value)));
    env
}

/// What a task executor may know: everything but the key to the ResourceManager and the application's own description.
fn executor_credentials(own: &Credentials) -> Credentials {
    let mut credentials = Credentials::new();
    for (alias, token) in own.tokens().filter(|(_, token)| token.kind != AM_RM_TOKEN) {
        credentials.add_token(alias, token.clone());
    }
    for (alias, secret) in own.secrets().filter(|(alias, _)| *alias != APPLICATION_SECRET) {
        credentials.add_secret(alias, secret.to_vec());
    }
    credentials
}

fn local_resource(file: &LocalFile) -> LocalResource {
    LocalResource {
        url: file.uri.clone(),
        size: file.size,
        timestamp: file.timestamp,
        kind: if file.archive { LocalResourceType::Archive } else { LocalResourceType::File },
        visibility: match file.visibility {
            Visibility::Public => records::Visibility::Public,
            Visibility::Private => records::Visibility::Private,
            Visibility::Application => records::Visibility::Application,
        },
    }
}

//! Where an action takes place: by `-t`, by `-m`, by the id of an application, by a session's properties file, by address.

use super::{SessionProperties, YARN_CLUSTER, properties};
use crate::args::ClusterArgs;
use anyhow::{Result, bail};
use kvick_core::config::{Configuration, options};

/// Where an action takes place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// In the program's own process.
    Local,
    /// A cluster at this address: `host:port`.
    Remote(String),
    /// An application on YARN of its own for each job.
    YarnPerJob,
    /// The application on YARN of this id.
    YarnSession(String),
    /// `-t yarn-session` without an id.
    YarnSessionUnknown,
    /// `-t yarn-application`: the program runs in the application master.
    YarnApplication,
}

/// The session of the properties file, if it has a say: no cluster was named in any other way.
pub fn session_of(
    args: &ClusterArgs,
    file: &Configuration,
    flags: &Configuration,
    dynamic: &Configuration,
) -> Result<Option<SessionProperties>> {
    let id = &options::YARN_APPLICATION_ID;
    let id_named = [file, flags, dynamic].iter().any(|layer| layer.is_set(id));
    let target = [dynamic, flags, file].iter().find_map(|layer| layer.raw(options::TARGET.key()));
    let asked_for = target.is_none_or(|target| target == "yarn-session");
    if id_named || !asked_for || args.jobmanager.is_some() || args.yarn_options {
        return Ok(None);
    }
    let mut config = file.clone();
    config.overlay(dynamic);
    properties::read(&properties::location(&config)?)
}

/// The target that the options and the configuration name.
pub fn select(
    args: &ClusterArgs,
    file: &Configuration,
    config: &Configuration,
    session: Option<&SessionProperties>,
) -> Result<Target> {
    let known = session.map(|session| session.application_id.clone());
    let known = config.get(&options::YARN_APPLICATION_ID)?.or(known);
    let named = args.target.is_some() || file.is_set(&options::TARGET) || config.is_set(&options::TARGET);
    if named && let Some(target) = config.get(&options::TARGET)? {
        return of_name(&target, known, args, config);
    }
    match (args.jobmanager.as_deref(), known) {
        (_, Some(id)) => Ok(Target::YarnSession(id)),
        (Some(YARN_CLUSTER), None) => Ok(Target::YarnPerJob),
        _ => Ok(Target::Remote(remote(args, config)?)),
    }
}

fn of_name(name: &str, known: Option<String>, args: &ClusterArgs, config: &Configuration) -> Result<Target> {
    Ok(match (name, known) {
        ("local", _) => Target::Local,
        ("remote", _) => Target::Remote(remote(args, config)?),
        ("yarn-session", Some(id)) => Target::YarnSession(id),
        ("yarn-session", None) => Target::YarnSessionUnknown,
        ("yarn-per-job", None) => Target::YarnPerJob,
        ("yarn-application", None) => Target::YarnApplication,
        // With an id they name the application to speak to.
        ("yarn-per-job" | "yarn-application", Some(id)) => Target::YarnSession(id),
        (other, _) => bail!(
            "No ExecutorFactory found to execute the application: the target '{other}' is none of local, remote, yarn-session, yarn-per-job, yarn-application."
        ),
    })
}

/// `host:port` from `-m`, also as a URL, or from `rest.address` and `rest.port`.
fn remote(args: &ClusterArgs, config: &Configuration) -> Result<String> {
    let Some(address) = args.jobmanager.as_deref().filter(|address| *address != YARN_CLUSTER) else {
        let host = config.get(&options::REST_ADDRESS)?.or(config.get(&options::JM_RPC_ADDRESS)?);
        return Ok(format!(
            "{}:{}",
            host.unwrap_or_else(|| "localhost".into()),
            config.get(&options::REST_PORT)?
        ));
    };
    if address.starts_with("https://") {
        bail!("The address '{address}' asks for TLS, which is not supported by this version yet.");
    }
    let plain = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    let host = plain.split('/').next().unwrap_or_default();
    let port = host.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse::<u16>().ok()?)));
    match port {
        Some((name, _)) if !name.is_empty() => Ok(plain.to_string()),
        _ if address.starts_with("http://") && !host.is_empty() => Ok(plain.to_string()),
        _ => bail!(
            "The given jobmanager address '{address}' is neither yarn-cluster nor of the form host:port, such as localhost:8081."
        ),
    }
}

//! Taking over from an earlier attempt: what it left is read, checked, and given to the master.

use crate::cluster::Cluster;
use crate::durable::{self, Durable};
use crate::handle::ClusterHandle;
use crate::settings::Settings;
use crate::{clock, filesystems};
use anyhow::{Context, Result};
use kvick_core::checkpoint::{CompletedCheckpoint, RestoreSource};
use kvick_core::config::options;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ha::{Change, Contents, HaKind, Leader, StoredCheckpoint, StoredJob};
use kvick_core::ids::{ExecutorId, JobId};
use kvick_core::job::{JobResult, JobState};
use kvick_core::master::{Legacy, RecoveredJob};
use kvick_ha::{Fence, HaServices};
use kvick_storage::CheckpointStorage;
use std::collections::BTreeMap;
use tracing::{error, info, warn};

/// What became of the wish to lead.
pub enum Leading {
    /// Nothing survives an application master (`high-availability.type: NONE`).
    Alone,
    /// This one leads; what earlier ones left.
    Keeps(HaServices, Contents),
    /// A later one leads.
    Fenced(Fence),
}

/// Becomes the leader.
///
/// # Errors
/// The store cannot be reached.
pub async fn lead(handle: &ClusterHandle, port: u16) -> Result<Leading> {
    let settings = &handle.settings;
    if HaKind::from_config(&settings.config)? == HaKind::None {
        return Ok(Leading::Alone);
    }
    let staging = settings.spec.staging_dir.as_deref();
    let store = kvick_ha::open(&settings.config, staging, &filesystems::connect(settings))?;
    let leader = Leader { epoch: settings.epoch, address: format!("{}:{port}", settings.host) };
    // A cluster id of one's own may have been another application's before.
    if settings.epoch.attempt <= 1 && !settings.config.is_set(&options::HA_CLUSTER_ID) {
        return Ok(Leading::Keeps(HaServices::begin(store, leader), Contents::default()));
    }
    match HaServices::take_over(store, &leader).await {
        Ok((services, contents)) => Ok(Leading::Keeps(services, contents)),
        Err(error) => match error.fence() {
            Some(fence) => Ok(Leading::Fenced(fence)),
            None => Err(error).context("taking over what survives an application master"),
        },
    }
}

/// Gives the cluster what earlier attempts left, and has it keep what is to survive from now on.
pub async fn recover(
    cluster: &mut Cluster,
    handle: &ClusterHandle,
    services: HaServices,
    contents: Contents,
    containers: Vec<ExecutorId>,
) {
    cluster.durable = Some(Durable::new(services.clone(), handle.clone(), &contents));
    if cluster.settings.epoch.attempt <= 1 && contents == Contents::default() {
        return;
    }
    let mut contents = contents;
    durable::go_on_removing(cluster, &mut contents);
    let clients = std::mem::take(&mut contents.clients);
    cluster.once = own_once(&cluster.settings, contents.once.take());
    let legacy = legacy(cluster, &services, contents, containers).await;
    info!(
        "recovering {} jobs; {} have ended; waiting for {} task executors of earlier attempts",
        legacy.jobs.len(),
        legacy.results.len(),
        legacy.containers.len()
    );
    cluster.results.extend(legacy.results.iter().map(|result| (result.job_id, result.clone())));
    let refused = cluster.with_master(|master, fx| master.recover(clock::now(), legacy, fx));
    for (job, why) in refused {
        error!(%job, "the job cannot be recovered: {why}");
    }
    // They find this application master within the time that they have, or are gone.
    for job in clients {
        cluster.master.client_heartbeat(clock::now(), job);
    }
}

/// What this application's program recorded with `once`. A cluster id of one's own may have been another application's before.
fn own_once(
    settings: &Settings,
    recorded: Option<(String, BTreeMap<String, String>)>,
) -> BTreeMap<String, String> {
    let own = recorded.filter(|(application, _)| settings.application().as_ref() == Some(application));
    own.map(|(_, values)| values).unwrap_or_default()
}

async fn legacy(
    cluster: &Cluster,
    services: &HaServices,
    contents: Contents,
    containers: Vec<ExecutorId>,
) -> Legacy {
    let storage = CheckpointStorage::new(filesystems::connect(&cluster.settings));
    let Contents { jobs, mut checkpoints, results, restarts, .. } = contents;
    let mut legacy = Legacy {
        epoch: cluster.settings.epoch.attempt,
        jobs: Vec::new(),
        results: results.into_values().collect(),
        containers,
    };
    for (id, job) in jobs {
        let submitted = job.submitted;
        match recovered(&storage, job, checkpoints.remove(&id).unwrap_or_default()).await {
            Ok(job) => {
                legacy.jobs.push(RecoveredJob { restarts: restarts.get(&id).copied().unwrap_or(0), ..job });
            }
            Err(why) => {
                error!(job = %id, "the job cannot be recovered: {why}");
                let result = lost(id, clock::now().since(submitted).0, why);
                drop(services.write(Change::job_ended(&result)));
                legacy.results.push(result);
            }
        }
    }
    legacy
}

/// A job with the checkpoints that can be read.
///
/// # Errors
/// It has state to begin with, and none of it can be read: to begin from nothing would lose it silently.
async fn recovered(
    storage: &CheckpointStorage,
    job: StoredJob,
    pointers: BTreeMap<u64, StoredCheckpoint>,
) -> Result<RecoveredJob, String> {
    let StoredJob { submission, submitted, source } = job;
    let mut completed = Vec::new();
    let mut unread = None;
    for pointer in pointers.values() {
        match completed_checkpoint(storage, pointer).await {
            Ok(checkpoint) => completed.push(checkpoint),
            Err(why) => {
                warn!(job = %submission.job_id, "checkpoint {} is passed over: {why}", pointer.checkpoint);
                unread = Some(why);
            }
        }
    }
    let source = match source {
        None => None,
        Some(stored) => match storage.read(&stored.directory).await {
            Ok(located) => Some(RestoreSource {
                metadata: located.metadata,
                directory: located.directory,
                claim: stored.claim,
                allow_non_restored: stored.allow_non_restored,
            }),
            Err(error) => {
                unread.get_or_insert(error.to_string());
                None
            }
        },
    };
    match unread {
        Some(why) if completed.is_empty() && source.is_none() => Err(why),
        _ => Ok(RecoveredJob { submission, submitted, source, completed, restarts: 0 }),
    }
}

async fn completed_checkpoint(
    storage: &CheckpointStorage,
    pointer: &StoredCheckpoint,
) -> Result<CompletedCheckpoint, String> {
    if let Some(metadata) = &pointer.metadata {
        return Ok(pointer.completed(metadata.clone()));
    }
    let directory = pointer.directory.as_deref().unwrap_or(&pointer.external_path);
    let located = storage.read(directory).await.map_err(|error| error.to_string())?;
    Ok(pointer.completed((*located.metadata).clone()))
}

fn lost(job_id: JobId, net_runtime_ms: u64, why: String) -> JobResult {
    let text = format!("the job could not be recovered under a new application master: {why}");
    JobResult {
        job_id,
        state: JobState::Failed,
        net_runtime_ms,
        accumulators: BTreeMap::new(),
        failure: Some(Failure::new(FailureKind::Error, text)),
    }
}

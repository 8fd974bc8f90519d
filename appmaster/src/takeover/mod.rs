//! Taking over from an earlier attempt: what it left is read, checked, and given to the master.

mod checkpoints;
mod patience;

use crate::cluster::Cluster;
use crate::durable::{self, Durable};
use crate::handle::ClusterHandle;
use crate::settings::Settings;
use crate::{clock, filesystems};
use anyhow::{Context, Result};
use checkpoints::Left;
use kvick_core::config::options;
use kvick_core::ha::{Contents, HaKind, Leader, StoredCheckpoint};
use kvick_core::ids::{ExecutorId, JobId};
use kvick_core::master::Legacy;
use kvick_ha::{Fence, HaServices};
use kvick_storage::{CheckpointStorage, StorageError};
use std::collections::BTreeMap;
use tracing::{error, info};

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
///
/// # Errors
/// A file system with checkpoints is away for too long: a later attempt may find it back.
pub async fn recover(
    cluster: &mut Cluster,
    handle: &ClusterHandle,
    services: HaServices,
    contents: Contents,
    containers: Vec<ExecutorId>,
) -> Result<()> {
    cluster.durable = Some(Durable::new(services, handle.clone(), &contents));
    if cluster.settings.epoch.attempt <= 1 && contents == Contents::default() {
        return Ok(());
    }
    let mut contents = contents;
    let newest = newest_numbers(&contents);
    durable::go_on_removing(cluster, &mut contents);
    let clients = std::mem::take(&mut contents.clients);
    cluster.once = own_once(&cluster.settings, contents.once.take());
    let legacy = legacy(cluster, contents, &newest, containers).await;
    let legacy = legacy.context("reading the checkpoints that an earlier attempt left")?;
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
    Ok(())
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
    contents: Contents,
    newest: &BTreeMap<JobId, u64>,
    containers: Vec<ExecutorId>,
) -> Result<Legacy, StorageError> {
    let storage = CheckpointStorage::new(filesystems::connect(&cluster.settings));
    let Contents { jobs, checkpoints: mut pointers, results, restarts, .. } = contents;
    let left = jobs.into_iter().map(|(id, job)| Left {
        job,
        pointers: pointers.remove(&id).unwrap_or_default(),
        restarts: restarts.get(&id).copied().unwrap_or(0),
        newest: newest.get(&id).copied().unwrap_or(0),
    });
    Ok(Legacy {
        epoch: cluster.settings.epoch.attempt,
        jobs: checkpoints::read_all(&storage, left.collect()).await?,
        results: results.into_values().collect(),
        containers,
    })
}

/// By job, the greatest number of a checkpoint that any record names.
fn newest_numbers(contents: &Contents) -> BTreeMap<JobId, u64> {
    let newest = |pointers: &BTreeMap<u64, StoredCheckpoint>| pointers.keys().last().copied();
    contents.checkpoints.iter().filter_map(|(job, pointers)| Some((*job, newest(pointers)?))).collect()
}

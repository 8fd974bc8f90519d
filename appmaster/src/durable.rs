//! What counts only once it survives this process: accepted jobs, completed checkpoints, ended jobs.
//!
//! A submission is answered, a checkpoint is told to the master, and the end of a job is told to anybody only when the store
//! has it. Effects that follow from the end of a job wait for that, and with them all later ones, for they are in order.
//!
//! If the store does not take it for too long, the submission is refused and the checkpoint has failed; the end of a job is told
//! all the same, with a warning: the job has ended, whoever knows it.

use crate::clock::now;
use crate::cluster::Cluster;
use crate::handle::ClusterHandle;
use crate::input::Input;
use crate::program::fixed_job_id;
use crate::settings::Settings;
use futures::future::BoxFuture;
use kvick_core::checkpoint::{CheckpointEffect, RestoreSource, SnapshotKind};
use kvick_core::ha::{Change, Contents, Record, RecordKey, StoredCheckpoint, StoredJob, StoredSource};
use kvick_core::ids::{ExecutorId, JobId};
use kvick_core::job::JobSubmission;
use kvick_core::master::{Effect, HeldEffects, Master, MasterMode, SubmitError};
use kvick_core::time::Millis;
use kvick_ha::{HaError, HaServices};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tracing::{info, warn};

/// For how long a submission waits for its record. A store that can be reached and rejects it answers sooner.
const SUBMISSION_PATIENCE: Duration = Duration::from_secs(60);

/// A checkpoint of a job.
type Key = (JobId, u64);

/// What is on its way to the store, and what waits for it.
pub struct Durable {
    /// The store.
    pub services: HaServices,
    handle: ClusterHandle,
    /// What is kept of each job beside its submission.
    jobs: BTreeMap<JobId, (Millis, Option<StoredSource>)>,
    /// Restore points whose metadata is being written.
    storing: BTreeMap<Key, StoredCheckpoint>,
    /// Pointers that are on their way.
    writing: BTreeSet<Key>,
    /// Pointers that are or will be there.
    pointers: BTreeSet<Key>,
    /// Checkpoints that are to be removed, and are noted as such.
    going: BTreeSet<Key>,
    /// Those that are gone: the notes of them go with what is written next.
    gone: BTreeSet<Key>,
    /// Effects that wait: those of the end of a job first.
    held: HeldEffects,
}

impl Durable {
    /// Nothing on its way; this is there already.
    pub fn new(services: HaServices, handle: ClusterHandle, contents: &Contents) -> Durable {
        let pointers = contents.checkpoints.iter().flat_map(|(job, all)| all.keys().map(|id| (*job, *id)));
        let pointers = pointers.collect();
        let jobs = contents.jobs.iter().map(|(id, job)| (*id, (job.submitted, job.source.clone())));
        Durable {
            services,
            handle,
            jobs: jobs.collect(),
            storing: BTreeMap::new(),
            writing: BTreeSet::new(),
            pointers,
            going: BTreeSet::new(),
            gone: BTreeSet::new(),
            held: HeldEffects::default(),
        }
    }

    /// Takes note of the effects of one decision. Says which changes they wait for, if any.
    fn changes_before(&mut self, master: &Master, effects: &[Effect]) -> Option<Vec<Change>> {
        let (mut changes, mut waits) = (Vec::new(), false);
        for effect in effects {
            match effect {
                Effect::JobEnded { result } => {
                    self.jobs.remove(&result.job_id);
                    changes.extend(Change::job_ended(result));
                    changes.extend(self.removals(result.job_id, effects));
                    waits = true;
                }
                Effect::JobGraphChanged { job } => {
                    changes.extend(self.record_of(master, *job));
                    waits = true;
                }
                Effect::JobRestarted { job, restarts } => {
                    let record = Record::Restarts { job_id: *job, restarts: *restarts };
                    changes.push(Change::Put(record));
                }
                Effect::Checkpoint { job, effect } => waits |= self.note(*job, effect, &mut changes),
                _ => {}
            }
        }
        if waits {
            return Some(self.with_gone(changes));
        }
        if !changes.is_empty() {
            // A pointer to a checkpoint that is gone does no harm: there is a later one. Nothing follows from the number of
            // restarts.
            let changes = self.with_gone(changes);
            drop(self.services.write(changes));
        }
        None
    }

    /// What is removed with the end of a job is noted before: should this process die, its successor goes on with it.
    fn removals(&mut self, ended: JobId, effects: &[Effect]) -> Vec<Change> {
        let of_job = effects.iter().filter_map(|effect| match effect {
            Effect::Checkpoint { job, effect } if *job == ended => going(ended, effect),
            _ => None,
        });
        let records: Vec<StoredCheckpoint> = of_job.collect();
        self.going.extend(records.iter().map(|record| (ended, record.checkpoint)));
        records.into_iter().map(|record| Change::Put(Record::Checkpoint(Box::new(record)))).collect()
    }

    /// These changes, and with them notes of what is gone. Nothing waits for that: what is gone can be removed again.
    fn with_gone(&mut self, mut changes: Vec<Change>) -> Vec<Change> {
        let gone = std::mem::take(&mut self.gone);
        let notes = gone.into_iter().filter(|key| !self.pointers.contains(key));
        changes.extend(notes.map(|(job, id)| Change::Remove(RecordKey::Checkpoint(job, id))));
        changes
    }

    /// The pointer to a checkpoint goes, or becomes the note that its files do. Says whether it was still on its way: nothing
    /// may follow from its going before it is gone.
    fn pointer_goes(&mut self, key: Key, note: Option<StoredCheckpoint>, changes: &mut Vec<Change>) -> bool {
        self.storing.remove(&key);
        if self.pointers.remove(&key) {
            changes.push(match note {
                Some(note) => {
                    self.going.insert(key);
                    Change::Put(Record::Checkpoint(Box::new(note)))
                }
                None => Change::Remove(RecordKey::Checkpoint(key.0, key.1)),
            });
        }
        self.writing.remove(&key)
    }

    /// The record of a job, with its graph as it is now.
    fn record_of(&self, master: &Master, id: JobId) -> Option<Change> {
        let (submitted, source) = self.jobs.get(&id)?.clone();
        let submission = master.job(id)?.submission().clone();
        Some(Change::Put(Record::Job(Box::new(StoredJob { submission, submitted, source }))))
    }

    /// Takes note of an effect. Says whether nothing may follow from it before what it changes is written.
    fn note(&mut self, job: JobId, effect: &CheckpointEffect, changes: &mut Vec<Change>) -> bool {
        match effect {
            CheckpointEffect::Store { checkpoint, metadata, directory, restore_point: true } => {
                let own = metadata.kind == SnapshotKind::Checkpoint;
                let pointer = StoredCheckpoint {
                    job_id: job,
                    checkpoint: *checkpoint,
                    directory: directory.clone(),
                    external_path: directory.clone().unwrap_or_default(),
                    owned: own,
                    referable: own,
                    metadata: directory.is_none().then(|| (**metadata).clone()),
                    going: None,
                };
                self.storing.insert((job, *checkpoint), pointer);
                false
            }
            CheckpointEffect::Discard { checkpoint: Some(id), .. }
            | CheckpointEffect::Damaged { checkpoint: id, fallback: Some(_), .. } => {
                self.pointer_goes((job, *id), going(job, effect), changes)
            }
            _ => false,
        }
    }
}

/// The note that a checkpoint is being removed, while there is something of it: should this process die, its successor goes on
/// with it.
fn going(job: JobId, effect: &CheckpointEffect) -> Option<StoredCheckpoint> {
    match effect {
        CheckpointEffect::Discard { checkpoint: Some(id), directory, files }
            if directory.is_some() || !files.is_empty() =>
        {
            Some(StoredCheckpoint::going(job, *id, directory.clone(), files.clone()))
        }
        _ => None,
    }
}

/// The effects that may be performed now, of those that were just decided and those that waited.
pub fn admit(cluster: &mut Cluster, effects: Vec<Effect>) -> Vec<Effect> {
    let Some(durable) = &mut cluster.durable else { return effects };
    if effects.is_empty() {
        return effects;
    }
    if durable.held.is_closed() {
        durable.held.add(effects);
        return Vec::new();
    }
    let Some(changes) = durable.changes_before(&cluster.master, &effects) else { return effects };
    durable.held.close(effects);
    let (written, handle) = (durable.services.write(changes), durable.handle.clone());
    tokio::spawn(async move {
        match written.await {
            // This attempt may not go on, and is told so by the store itself.
            Err(error) if error.is_fenced() => return,
            Err(error) => warn!(
                "the end of a job, or its change of parallelism, is not recorded: a later application master would not know \
                 of it: {error}"
            ),
            Ok(()) => {}
        }
        handle.send(Input::Durable);
    });
    Vec::new()
}

/// The end of a job has become durable, or cannot be made so: what waited for it, and whatever else may go on.
pub fn release(cluster: &mut Cluster) -> Vec<Effect> {
    let Some(durable) = &mut cluster.durable else { return Vec::new() };
    let (mut first, later) = durable.held.release();
    first.extend(admit(cluster, later));
    first
}

/// A task executor registers, and is about to be compared with what was decided.
pub fn executor_registers(cluster: &mut Cluster, executor: &ExecutorId) {
    if let Some(durable) = &mut cluster.durable {
        durable.held.drop_orders(executor);
    }
}

/// The removal of a checkpoint has been ordered; once it is done, the note of it is of no use.
pub fn being_removed(cluster: &mut Cluster, job: JobId, checkpoint: u64) {
    let key = (job, checkpoint);
    let Some(durable) = &mut cluster.durable else { return };
    if !durable.going.remove(&key) {
        return;
    }
    let (removed, handle) = (cluster.checkpoints.done(), durable.handle.clone());
    tokio::spawn(async move {
        if removed.await {
            let forget = move |cluster: &mut Cluster, _| {
                if let Some(durable) = &mut cluster.durable {
                    durable.gone.insert(key);
                }
            };
            handle.send(Input::Request(Box::new(forget)));
        }
    });
}

/// Nobody is told of an ended job any more: its result goes, and the pointers to checkpoints that it has left to people. Not where
/// a program is run anew under the next application master: it must meet its jobs, however long ago they ended.
pub fn job_forgotten(cluster: &mut Cluster, job: JobId) {
    let Some(durable) = &mut cluster.durable else { return };
    if cluster.master.settings().mode != MasterMode::Session {
        return;
    }
    let pointers = durable.pointers.extract_if((job, 0)..=(job, u64::MAX), |_| true);
    let pointers = pointers.map(|(job, id)| RecordKey::Checkpoint(job, id));
    let changes = pointers.chain([RecordKey::Result(job)]).map(Change::Remove).collect();
    // What stays then takes room, and the next application master forgets it in its turn.
    drop(durable.services.write(changes));
}

/// Goes on with removals that an earlier attempt had begun.
pub fn go_on_removing(cluster: &mut Cluster, contents: &mut Contents) {
    for (job, pointers) in &mut contents.checkpoints {
        let going = |_: &u64, pointer: &mut StoredCheckpoint| pointer.going.is_some();
        for (id, pointer) in pointers.extract_if(.., going) {
            info!(%job, "going on to remove checkpoint {id} in {}", pointer.external_path);
            let files = pointer.going.unwrap_or_default();
            let effect =
                CheckpointEffect::Discard { checkpoint: Some(id), directory: pointer.directory, files };
            cluster.checkpoints.perform(*job, effect);
            if let Some(durable) = &mut cluster.durable {
                durable.pointers.remove(&(*job, id));
                durable.going.insert((*job, id));
            }
            being_removed(cluster, *job, id);
        }
    }
}

/// The metadata of a checkpoint is written. Says whether its pointer is written now, which will be told when it is.
pub fn record_checkpoint(cluster: &mut Cluster, job: JobId, checkpoint: u64, path: Option<&String>) -> bool {
    let Some(durable) = &mut cluster.durable else { return false };
    let key = (job, checkpoint);
    let Some(mut pointer) = durable.storing.remove(&key) else { return false };
    if let Some(path) = path {
        pointer.external_path.clone_from(path);
    }
    durable.pointers.insert(key);
    durable.writing.insert(key);
    let changes = durable.with_gone(vec![Change::Put(Record::Checkpoint(Box::new(pointer)))]);
    let written = durable.services.write(changes);
    let (handle, path) = (durable.handle.clone(), path.cloned());
    tokio::spawn(async move {
        let outcome = match written.await {
            Ok(()) => Ok(path),
            Err(error) if error.is_fenced() => return,
            // Its files are removed now, and its pointer, should it be there, as soon as the store takes that.
            Err(error) => Err(format!("checkpoint {checkpoint} could not be recorded: {error}")),
        };
        handle.send(Input::Request(Box::new(move |cluster, now| {
            if let Some(durable) = &mut cluster.durable {
                durable.writing.remove(&key);
            }
            cluster.with_master(|m, fx| m.checkpoint_stored(now, job, checkpoint, outcome, fx));
        })));
    });
    true
}

/// The metadata of a checkpoint could not be written.
pub fn forget_checkpoint(cluster: &mut Cluster, job: JobId, checkpoint: u64) {
    if let Some(durable) = &mut cluster.durable {
        durable.storing.remove(&(job, checkpoint));
    }
}

impl Cluster {
    /// Submits a job. What is returned waits until the job would survive this application master: before that nobody may
    /// be told that it was accepted. If that takes too long the job is cancelled, and the submission refused.
    ///
    /// # Errors
    /// If it is not accepted; nothing has changed then.
    pub fn submit(
        &mut self,
        submission: JobSubmission,
        source: Option<RestoreSource>,
    ) -> Result<BoxFuture<'static, Result<(), HaError>>, SubmitError> {
        let kept = (now(), source.as_ref().map(stored_source));
        let id = submission.job_id;
        self.with_master(|m, fx| m.submit_restored(now(), submission, source.as_ref(), fx))?;
        if let Some(durable) = &mut self.durable {
            durable.jobs.insert(id, kept);
            // As the master has it: what it took over from a checkpoint must not depend on that being there later.
            if let Some(change) = durable.record_of(&self.master, id) {
                let once = record_of_once(&self.settings, &self.master, id);
                let written = durable.services.write(once.into_iter().chain([change]).collect());
                // A caller that goes away does not decide what becomes of the job.
                let outcome = tokio::spawn(accepted(id, written, durable.handle.clone()));
                return Ok(Box::pin(async {
                    outcome.await.unwrap_or_else(|error| Err(HaError::Lost(error.to_string())))
                }));
            }
        }
        Ok(Box::pin(std::future::ready(Ok(()))))
    }
}

impl Cluster {
    /// The client of a job says that it is there; the next application master must know that there is one, for it is to end the
    /// job too if that falls silent. Says whether there is such a job.
    pub fn client_heartbeat(&mut self, now: Millis, job_id: JobId) -> bool {
        let is_known = self.master.has_client(job_id);
        let found = self.master.client_heartbeat(now, job_id);
        if let Some(durable) = &self.durable
            && !is_known
            && self.master.has_client(job_id)
        {
            // Should it not be written, the job outlives its client if it also outlives this master.
            drop(durable.services.write(vec![Change::Put(Record::Client { job_id })]));
        }
        found
    }
}

/// What the program of an application in application mode had recorded with `once` when it submitted a job. The program draws nothing
/// anew under the next application master, though the job may have ended by then.
fn record_of_once(settings: &Settings, master: &Master, id: JobId) -> Option<Change> {
    let (application, job) = (settings.application()?, master.job(id)?.submission());
    let own = id == fixed_job_id(&application, job.ordinal);
    own.then(|| Change::Put(Record::Once { application, values: job.once.clone() }))
}

/// Waits until the record of a job is written.
async fn accepted(
    job: JobId,
    written: impl Future<Output = Result<(), HaError>> + Send,
    handle: ClusterHandle,
) -> Result<(), HaError> {
    let late = || HaError::Lost(format!("the store has not answered within {SUBMISSION_PATIENCE:?}"));
    let outcome = tokio::time::timeout(SUBMISSION_PATIENCE, written).await.unwrap_or_else(|_| Err(late()));
    if let Err(error) = &outcome
        && !error.is_fenced()
    {
        warn!(%job, "the job is withdrawn, for it is not recorded: {error}");
        let withdraw = move |cluster: &mut Cluster, now| {
            cluster.with_master(|master, fx| master.cancel(now, job, fx));
        };
        handle.send(Input::Request(Box::new(withdraw)));
    }
    outcome
}

fn stored_source(source: &RestoreSource) -> StoredSource {
    StoredSource {
        directory: source.directory.clone(),
        claim: source.claim,
        allow_non_restored: source.allow_non_restored,
    }
}

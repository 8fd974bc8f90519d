//! What workers leave on local disks: removed here, for a worker that was killed removes nothing.
//!
//! The files of a process go when it has ended. Local copies of checkpoints are for the worker that comes after it; they go
//! when the job has ended here.

use kvick_core::host::WorkerSpec;
use kvick_core::ids::JobId;
use kvick_core::local_files::{LOCAL_STATE, local_state_dirs, made_by, store_dirs};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use tracing::{info, warn};

/// Where the workers of a job write.
#[derive(Debug, Clone)]
pub struct Remains {
    job: JobId,
    /// Directories below which each process has directories of its own.
    shared: BTreeSet<PathBuf>,
    /// Directories with the local copies that workers of the job made here.
    copies: BTreeSet<PathBuf>,
}

impl Remains {
    /// As a worker is told.
    pub fn of(spec: &WorkerSpec) -> Remains {
        let mut config = spec.config.clone();
        config.overlay(&spec.graph.config);
        let shared = spec.tmp_dirs.iter().cloned().chain(store_dirs(&config)).map(PathBuf::from);
        let copies = local_state_dirs(&config, &spec.tmp_dirs).into_iter();
        let below =
            |dir| Path::new(&dir).join(LOCAL_STATE).join(spec.job_id.to_string()).join(&spec.executor);
        Remains { job: spec.job_id, shared: shared.collect(), copies: copies.map(below).collect() }
    }

    /// Removes in the background what a process has left, which has ended.
    pub fn remove_files_of(&self, pid: u32) {
        let (job, shared) = (self.job, self.shared.clone());
        tokio::task::spawn_blocking(move || {
            let made = |path: &PathBuf| {
                path.file_name().is_some_and(|name| made_by(&name.to_string_lossy(), job, pid))
            };
            let entries = shared.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
            let left: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(made).collect();
            if !left.is_empty() {
                info!(%job, "removing {} directories that the worker process {pid} has left", left.len());
            }
            left.iter().for_each(|path| remove(path));
        });
    }

    /// Removes in the background the local copies of checkpoints: no worker of the job comes here any more.
    pub fn remove_copies(self) {
        tokio::task::spawn_blocking(move || {
            for path in &self.copies {
                remove(path);
                // Only where no other task executor has something there.
                path.parent().map(fs::remove_dir);
            }
        });
    }
}

fn remove(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(error) if !is_gone(&error) => warn!("cannot remove {}: {error}", path.display()),
        _ => {}
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::{Worker, WorkerEvent, WorkerId};
    use kvick_core::config::Configuration;
    use kvick_core::graph::JobGraph;
    use std::collections::BTreeMap;
    use std::time::Duration;
    use tokio::sync::mpsc;

    const JOB: JobId = JobId(7);

    fn spec(directory: &Path) -> WorkerSpec {
        let mut config = Configuration::default();
        config.set("state.backend.rocksdb.localdir", directory.join("stores").display().to_string());
        WorkerSpec {
            job_id: JOB,
            ordinal: 0,
            graph: JobGraph::default(),
            config,
            once: BTreeMap::new(),
            earlier: Vec::new(),
            host: String::new(),
            bind_address: String::new(),
            data_ports: String::new(),
            secret: String::new(),
            executor: "container_1".to_string(),
            tmp_dirs: vec![directory.join("tmp").display().to_string()],
            hadoop: BTreeMap::new(),
            user: String::new(),
        }
    }

    /// What is in the directories of a task executor, in order.
    fn found(directory: &Path) -> Vec<String> {
        let below = |name: &str| fs::read_dir(directory.join(name)).into_iter().flatten().flatten();
        let entries = below("tmp").chain(below("stores"));
        let mut names: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    async fn wait_for(directory: &Path, expected: &[String]) {
        for _ in 0..1_000 {
            if found(directory) == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("there are {:?}, not {expected:?}", found(directory));
    }

    #[tokio::test]
    async fn what_a_killed_worker_has_left_goes_and_local_copies_go_with_the_job() {
        let directory = tempfile::tempdir().unwrap();
        let (spec, path) = (spec(directory.path()), directory.path().display());
        let copies = format!("{LOCAL_STATE}/{JOB}/container_1");
        let others = format!("kvick-spill-{JOB}-a-1-0");
        let script = format!(
            "mkdir -p {path}/tmp/{others} {path}/tmp/{copies} {path}/tmp/kvick-result-{JOB}-a-0-0-$$-0 \
             {path}/stores/kvick-rocksdb-{JOB}-b-$$-1/db; touch {path}/tmp/{copies}/file; kill -9 $$"
        );
        let (sender, mut events) = mpsc::unbounded_channel();
        let id = WorkerId { job: JOB, serial: 1 };
        let remains = Remains::of(&spec);
        let _worker =
            Worker::start(id, Path::new("/bin/sh"), &["-c".to_string(), script], spec, sender).unwrap();
        let Some(WorkerEvent::Ended(_, failure)) = events.recv().await else { panic!("it said something") };
        assert!(failure.message.contains("signal"), "{failure}");
        wait_for(directory.path(), &[LOCAL_STATE.to_string(), others.clone()]).await;
        assert!(directory.path().join("tmp").join(&copies).join("file").is_file());
        remains.remove_copies();
        let gone = || !directory.path().join("tmp").join(LOCAL_STATE).join(JOB.to_string()).exists();
        for _ in 0..1_000 {
            if gone() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(gone(), "the copies are still there");
        assert_eq!(found(directory.path()), [LOCAL_STATE.to_string(), others]);
    }
}

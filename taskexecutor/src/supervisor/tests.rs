//! However a worker is lost, whoever asks why is told where it ran, what it said last, and where there is more.

use super::*;
use crate::worker::Worker;
use kvick_core::config::Configuration;
use kvick_core::graph::JobGraph;
use kvick_core::ha::Epoch;
use kvick_core::ids::ExecutorId;
use std::path::Path;

const JOB: JobId = JobId(7);
const ID: WorkerId = WorkerId { job: JOB, serial: 1 };

fn settings(directory: &Path) -> Settings {
    Settings {
        id: ExecutorId("container_1410901177871_0001_01_000005".to_string()),
        master: "am:1".to_string(),
        epoch: Epoch::of_attempt(1),
        ha_dir: None,
        slots: 1,
        host: "node7".to_string(),
        log_dir: directory.to_path_buf(),
        local_dirs: vec![directory.display().to_string()],
        config: Configuration::default(),
        secret: "s".to_string(),
        hadoop: BTreeMap::new(),
        user: "ada".to_string(),
        heartbeat_interval: Duration::from_secs(10),
        link_timeout: Duration::from_secs(50),
    }
}

fn spec(directory: &Path) -> WorkerSpec {
    WorkerSpec {
        job_id: JOB,
        ordinal: 0,
        graph: JobGraph::default(),
        config: Configuration::default(),
        once: BTreeMap::new(),
        earlier: Vec::new(),
        host: String::new(),
        bind_address: String::new(),
        data_ports: String::new(),
        secret: String::new(),
        executor: "container_1".to_string(),
        tmp_dirs: vec![directory.display().to_string()],
        hadoop: BTreeMap::new(),
        user: String::new(),
    }
}

/// A supervisor without an application master, and what it would say to one.
struct World {
    supervisor: Supervisor,
    said: mpsc::UnboundedReceiver<Outgoing>,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path());
        let (to_master, said) = mpsc::unbounded_channel();
        let supervisor = Supervisor {
            store: ProgramStore::new(settings.work_dir(), settings.filesystems()),
            settings,
            workers: BTreeMap::new(),
            remains: BTreeMap::new(),
            holdings: Holdings::default(),
            to_master,
            worker_events: mpsc::unbounded_channel().0,
            prepared: mpsc::unbounded_channel().0,
            heartbeat: Duration::from_secs(10),
            started: 1,
            connections: 0,
            guard: None,
        };
        World { supervisor, said, directory }
    }

    /// A worker runs that has said its last words, and was looked at since.
    async fn with_worker() -> World {
        let mut world = World::new();
        let script = "echo these were its last words >&2; while :; do sleep 1; done";
        let args = ["-c", script].map(str::to_string);
        let spec = spec(world.directory.path());
        let events = world.supervisor.worker_events.clone();
        let worker = Worker::start(ID, Path::new("/bin/bash"), &args, spec, events).unwrap();
        for _ in 0..1_000 {
            if worker.last_words().contains("last words") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.supervisor.workers.insert(JOB, Place::Running(worker));
        world.supervisor.look_at_memory();
        world
    }

    /// The failure that the application master is told.
    fn failure(&mut self) -> String {
        match self.said.try_recv() {
            Ok(Outgoing::Message(FromExecutor::WorkerLost { job_id: JOB, failure })) => {
                format!("{}\n{}", failure.message, failure.detail)
            }
            _ => panic!("no worker was lost"),
        }
    }
}

fn tells_where(failure: &str) {
    let more = "yarn logs -applicationId application_1410901177871_0001 -containerId container_1410901177871_0001_01_000005";
    assert!(failure.contains("on node7") && failure.contains(more), "{failure}");
}

#[tokio::test]
async fn a_worker_that_hangs() {
    let mut world = World::with_worker().await;
    world.supervisor.end_silent(JOB, Duration::from_secs(50));
    let failure = world.failure();
    tells_where(&failure);
    assert!(failure.contains("it hangs") && failure.contains("its last words"), "{failure}");
    assert!(failure.contains("MiB of memory"), "seen between two heartbeats: {failure}");
}

#[tokio::test]
async fn a_worker_that_has_too_much_memory() {
    let mut world = World::with_worker().await;
    let config = [("taskmanager.memory.process.size", "1m")].into_iter().collect();
    world.supervisor.guard = MemoryGuard::of(&config);
    world.supervisor.look_at_memory();
    let failure = world.failure();
    tells_where(&failure);
    assert!(failure.contains("memory ran out") && failure.contains("its last words"), "{failure}");
}

#[tokio::test]
async fn a_worker_that_could_not_be_started() {
    let mut world = World::new();
    world.supervisor.workers.insert(JOB, Place::Preparing(ID, Vec::new()));
    let program = Err(anyhow::anyhow!("there is no jar"));
    let spec = Box::new(spec(world.directory.path()));
    world.supervisor.start_prepared(Prepared { id: ID, program, args: Vec::new(), spec });
    let failure = world.failure();
    tells_where(&failure);
    assert!(failure.contains("could not be started: there is no jar"), "{failure}");
}

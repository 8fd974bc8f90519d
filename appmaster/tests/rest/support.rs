//! A cluster without YARN for the tests of the REST API: the real driver and machines behind the real router; what
//! task executors would say is said by the test.

use crate::clock::now;
use crate::cluster::Cluster;
use crate::driver::ResourceDriver;
use crate::durable::Durable;
use crate::handle::ClusterHandle;
use crate::input::Input;
use crate::settings::Settings;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use kvick_core::application_spec::{ApplicationMode, ApplicationSpec, ExecutorProfile};
use kvick_core::checkpoint::message::SnapshotMetrics;
use kvick_core::checkpoint::{
    CheckpointCommand, CheckpointReport, NamedState, Piece, Redistribution, StateHandle, SubtaskState,
    TaskRestore, TaskSnapshot, TriggerCheckpoint,
};
use kvick_core::config::Configuration;
use kvick_core::executor::{ExecutorInfo, FromExecutor, ToExecutor};
use kvick_core::graph::{Exchange, JobEdge, JobGraph, JobVertex, OperatorInfo, Partitioning, RuntimeMode};
use kvick_core::ha::{Change, Epoch, Leader};
use kvick_core::ids::{ExecutionId, ExecutorId, JobId, VertexId};
use kvick_core::job::{Artifact, JobSubmission, ProgramSpec};
use kvick_core::master::{Master, MasterMode, MasterSettings};
use kvick_core::resources::ResourceSettings;
use kvick_core::task::{TaskMetrics, TaskReport, TaskState};
use kvick_core::time::Millis;
use kvick_filesystem::FileSystems;
use kvick_ha::{FileStore, HaServices, HaStore};
use kvick_rpc::gateway::decode;
use kvick_rpc::generated::v1::Frame;
use kvick_yarn::credentials::Credentials;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// The longest time that anything in these tests may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The router around a running driver.
pub struct TestCluster {
    /// To feed the driver directly.
    pub handle: ClusterHandle,
    /// The container's directories.
    pub dir: TempDir,
    router: Router,
    driver: JoinHandle<crate::driver::End>,
}

/// No containers come or go: executors connect when the test says so.
struct NoContainers;

impl ResourceDriver for NoContainers {
    fn hurry(&mut self) {}

    fn exclude(&mut self, _hosts: &std::collections::BTreeSet<String>) {}

    fn want(&mut self, _: u32) {}
    fn release(&mut self, _: &ExecutorId, _: &str) {}
}

/// An answer.
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The message of an error answer.
    pub fn error(&self) -> String {
        let body = self.json();
        let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no error but {body}"));
        errors.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// The configuration that tests begin with.
pub fn config() -> Configuration {
    let entries = [
        ("taskmanager.memory.process.size", "1024m"),
        ("s3.secret-key", "hush"),
        ("parallelism.default", "2"),
    ];
    Configuration(entries.map(|(k, v)| (k.to_string(), v.to_string())).into())
}

impl TestCluster {
    /// A session with the test's configuration.
    pub fn start() -> TestCluster {
        TestCluster::start_as(MasterMode::Session, config())
    }

    /// A cluster that lives as told.
    pub fn start_as(mode: MasterMode, config: Configuration) -> TestCluster {
        TestCluster::start_with(mode, config, |_, _| {})
    }

    /// A cluster for which the client asked what `ask` says; it is given the test's directory.
    pub fn start_with(
        mode: MasterMode,
        config: Configuration,
        ask: impl FnOnce(&mut ApplicationSpec, &Path),
    ) -> TestCluster {
        Beginning::new(mode, config, ask).begin()
    }

    /// A cluster that takes over from an earlier application master, which has left this.
    pub async fn taking_over(
        mode: MasterMode,
        ask: impl FnOnce(&mut ApplicationSpec, &Path),
        left: &[Change],
    ) -> TestCluster {
        let mut beginning = Beginning::new(mode, config(), ask);
        let store = || Arc::new(records(&beginning.dir.path().join("records")));
        let leader = |attempt| Leader { epoch: Epoch::of_attempt(attempt), address: "am:8081".to_string() };
        let earlier = store();
        earlier.take_over(&leader(1)).await.unwrap();
        earlier.write(left).await.unwrap();
        let (services, contents) = HaServices::take_over(store(), &leader(2)).await.unwrap();
        let Beginning { cluster, handle, .. } = &mut beginning;
        crate::takeover::recover(cluster, handle, services, contents, Vec::new()).await.unwrap();
        beginning.begin()
    }

    /// From now on keeps records below this directory.
    pub async fn keep_records(&self, directory: &Path) {
        let leader = Leader { epoch: Epoch::of_attempt(1), address: "am:8081".to_string() };
        let store = Arc::new(records(directory));
        let (services, contents) = HaServices::take_over(store, &leader).await.unwrap();
        let durable = Durable::new(services, self.handle.clone(), &contents);
        self.handle.ask(move |cluster, _| cluster.durable = Some(durable)).await.unwrap();
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = tokio::time::timeout(PATIENCE, self.router.clone().oneshot(request)).await;
        let response = response.expect("no answer in time").unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request with an optional JSON body.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let builder = Request::builder().method(method).uri(path).header(header::HOST, "am:8081");
        let body = body.map_or_else(Body::empty, |json| Body::from(json.to_string()));
        self.send(builder.body(body).unwrap()).await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, None).await
    }

    /// `GET`, answered with 200 and JSON.
    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.json()
    }

    /// Submits a job, which must be accepted.
    pub async fn submit(&self, job: &JobSubmission) {
        let answer = self.request(Method::POST, "/jobs", Some(&serde_json::to_value(job).unwrap())).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    }

    /// A task executor connects.
    pub fn executor(&self, id: &str, slots: u32) -> TestExecutor {
        let (frames, incoming) = mpsc::unbounded_channel();
        let info = ExecutorInfo {
            id: ExecutorId(id.to_string()),
            host: "node1".to_string(),
            slots,
            pid: 4711,
            cpu_cores: 8,
            physical_memory: 1 << 34,
            log_dir: "/logs".to_string(),
            config: config(),
        };
        self.handle.send(Input::Connected {
            info: Box::new(info),
            holdings: Default::default(),
            connection: 1,
            serial: 1,
            frames,
        });
        TestExecutor {
            id: ExecutorId(id.to_string()),
            restores: BTreeMap::new(),
            incoming,
            handle: self.handle.clone(),
        }
    }

    /// Waits until the application is over.
    pub async fn end(self) -> crate::driver::End {
        let TestCluster { driver, .. } = self;
        tokio::time::timeout(PATIENCE, driver).await.expect("the application does not end").unwrap()
    }

    /// A job that runs on one executor.
    pub async fn with_running_job(&self, job: &JobSubmission) -> TestExecutor {
        let mut executor = self.executor("container_1_0001_01_000002", 2);
        self.submit(job).await;
        executor.run(job).await;
        executor
    }
}

/// The records in a directory.
pub fn records(directory: &Path) -> FileStore {
    let uri = format!("file://{}", directory.display());
    let (fs, root) = FileSystems::new(kvick_filesystem::Context::default()).locate(&uri).unwrap();
    FileStore::new(fs, root)
}

/// A cluster that is not driven yet.
struct Beginning {
    dir: TempDir,
    handle: ClusterHandle,
    inbox: mpsc::UnboundedReceiver<Input>,
    cluster: Cluster,
}

impl Beginning {
    fn new(
        mode: MasterMode,
        config: Configuration,
        ask: impl FnOnce(&mut ApplicationSpec, &Path),
    ) -> Beginning {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(&dir, config);
        ask(&mut settings.spec, dir.path());
        let settings = Arc::new(settings);
        let (sender, inbox) = mpsc::unbounded_channel();
        let handle = ClusterHandle::new(sender, settings.clone());
        let performer = crate::checkpoints::performer(&handle).unwrap();
        let master = Master::new(now(), master_settings(mode));
        let cluster = Cluster::new(settings, master, performer);
        Beginning { dir, handle, inbox, cluster }
    }

    fn begin(self) -> TestCluster {
        let Beginning { dir, handle, inbox, cluster } = self;
        let driver =
            tokio::spawn(async { crate::driver::run(cluster, inbox, Box::new(NoContainers)).await.1 });
        let router = crate::rest::router(handle.clone());
        TestCluster { handle, dir, router, driver }
    }
}

fn settings(dir: &TempDir, mut config: Configuration) -> Settings {
    config.set("web.upload.dir", dir.path().join("uploads").display().to_string());
    config.set("rest.bind-address", "127.0.0.1");
    Settings {
        epoch: Epoch::of_attempt(1),
        host: "am".to_string(),
        log_dir: dir.path().to_path_buf(),
        spec: ApplicationSpec {
            mode: ApplicationMode::Session,
            name: "test".to_string(),
            user: "ada".to_string(),
            staging_dir: None,
            cache_dir: None,
            executor: ExecutorProfile { memory_mb: 1024, vcores: 2, slots: 2, node_label: None },
            executor_files: BTreeMap::new(),
            executor_env: BTreeMap::new(),
        },
        config,
        secret: "5ec7e7".to_string(),
        hadoop: BTreeMap::new(),
        credentials: Credentials::new(),
    }
}

fn master_settings(mode: MasterMode) -> MasterSettings {
    MasterSettings {
        checkpoints: true,
        mode,
        resources: ResourceSettings {
            slots_per_executor: 2,
            accept_unknown: true,
            ..ResourceSettings::default()
        },
        heartbeat_interval: Millis(10_000),
        job_expiration: Millis(3_600_000),
        result_wait: Millis(60_000),
    }
}

/// A task executor whose words the test chooses.
pub struct TestExecutor {
    /// Its id.
    pub id: ExecutorId,
    /// What the tasks that it runs were told to begin with.
    pub restores: BTreeMap<ExecutionId, TaskRestore>,
    incoming: mpsc::UnboundedReceiver<Frame>,
    handle: ClusterHandle,
}

impl TestExecutor {
    /// Says something to the application master.
    pub fn say(&self, message: FromExecutor) {
        self.handle.send(Input::Executor(self.id.clone(), 1, message));
    }

    /// The next message from the application master for which `wanted` finds something.
    pub async fn hear<T>(&mut self, wanted: impl Fn(ToExecutor) -> Option<T>) -> T {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.incoming.recv()).await;
            let frame =
                frame.expect("the application master says nothing").expect("the connection is closed");
            if let Some(found) = wanted(decode(&frame).unwrap().1) {
                return found;
            }
        }
    }

    /// Starts the worker and runs the tasks of a job as asked for.
    pub async fn run(&mut self, job: &JobSubmission) {
        self.hear(|m| matches!(m, ToExecutor::StartWorker { .. }).then_some(())).await;
        let address = "node1:7001".to_string();
        self.say(FromExecutor::WorkerReady { job_id: job.job_id, address, pid: 4712 });
        let tasks =
            self.hear(|m| if let ToExecutor::Deploy { tasks, .. } = m { Some(tasks) } else { None }).await;
        for task in &tasks {
            for state in [TaskState::Initializing, TaskState::Running] {
                self.report(job, task.execution, state);
            }
        }
        self.restores = tasks.into_iter().filter_map(|task| Some((task.execution, task.restore?))).collect();
    }

    /// Waits until a checkpoint is triggered, and has every task acknowledge it with a little state.
    pub async fn acknowledge(&mut self, job: &JobSubmission) -> TriggerCheckpoint {
        let order = self.hear(triggered).await;
        for execution in executions(job) {
            let snapshot = TaskSnapshot { operators: state(execution), finished: false };
            let metrics = SnapshotMetrics { checkpointed_bytes: 3, ..SnapshotMetrics::default() };
            let checkpoint = order.checkpoint;
            let report = CheckpointReport::Acknowledged { execution, checkpoint, snapshot, metrics };
            self.say(FromExecutor::Checkpoint { job_id: job.job_id, report });
        }
        order
    }

    /// Reports the state of a task.
    pub fn report(&self, job: &JobSubmission, execution: ExecutionId, state: TaskState) {
        self.say(FromExecutor::Task { job_id: job.job_id, report: report(execution, state) });
    }

    /// Reports every task of the job in a state.
    pub fn report_all(&self, job: &JobSubmission, state: TaskState) {
        for execution in executions(job) {
            self.report(job, execution, state);
        }
    }
}

fn triggered(message: ToExecutor) -> Option<TriggerCheckpoint> {
    match message {
        ToExecutor::Checkpoint { command: CheckpointCommand::Trigger(order), .. } => Some(order),
        _ => None,
    }
}

/// One element of list state, three bytes.
fn state(execution: ExecutionId) -> BTreeMap<VertexId, SubtaskState> {
    let named = NamedState {
        name: "offsets".to_string(),
        redistribution: Redistribution::Split,
        handle: StateHandle::Inline { bytes: vec![1, 2, 3].into() },
        head: 0,
        elements: vec![Piece { offset: 0, length: 3 }],
    };
    BTreeMap::from([(execution.vertex, SubtaskState { operator: vec![named], ..SubtaskState::default() })])
}

/// A report with counters.
pub fn report(execution: ExecutionId, state: TaskState) -> TaskReport {
    TaskReport { execution, state, failure: None, accumulators: BTreeMap::new(), metrics: counters() }
}

/// Counters of a task.
pub fn counters() -> TaskMetrics {
    TaskMetrics {
        records_in: 100,
        records_out: 200,
        bytes_in: 1_000,
        bytes_out: 2_000,
        busy_ms: 30,
        idle_ms: 60,
        backpressured_ms: 10,
        watermark: Some(42),
    }
}

/// The first attempts of all subtasks of a job.
pub fn executions(job: &JobSubmission) -> Vec<ExecutionId> {
    let of = |v: &JobVertex| {
        let vertex = v.id;
        (0..v.parallelism).map(move |subtask| ExecutionId { vertex, subtask, attempt: 0 })
    };
    job.graph.vertices.iter().flat_map(of).collect()
}

/// The id of the test's job.
pub const JOB: JobId = JobId(0x0101_0000_0000_0000_0000_0000_0000_0001);
/// Its source.
pub const SOURCE: VertexId = VertexId(0xa1);
/// Its keyed sum.
pub const SUM: VertexId = VertexId(0xa2);

/// `Source: gen` → hash → `sum` → rebalance → `drop: Writer`, two subtasks each.
pub fn job() -> JobSubmission {
    let jar = Artifact {
        name: "demo.jar".to_string(),
        uri: "file:///demo.jar".to_string(),
        sha256: "00".repeat(32),
        size: 1,
    };
    JobSubmission {
        job_id: JOB,
        ordinal: 0,
        program: ProgramSpec { jar, entry: None, args: Vec::new() },
        graph: graph(),
        config: Configuration(BTreeMap::from([("parallelism.default".to_string(), "2".to_string())])),
        once: BTreeMap::new(),
        earlier: Vec::new(),
    }
}

/// The graph of the test's job.
pub fn graph() -> JobGraph {
    let sink = VertexId(0xa3);
    JobGraph {
        name: "demo job".to_string(),
        mode: RuntimeMode::Streaming,
        vertices: vec![
            vertex(SOURCE, "Source: gen", true),
            vertex(SUM, "sum", false),
            vertex(sink, "drop: Writer", false),
        ],
        edges: vec![edge(SOURCE, SUM, Partitioning::Hash), edge(SUM, sink, Partitioning::Rebalance)],
        config: Configuration::default(),
    }
}

fn vertex(id: VertexId, name: &str, source: bool) -> JobVertex {
    JobVertex {
        id,
        name: name.to_string(),
        operators: vec![OperatorInfo { id, name: name.to_string(), uid: None }],
        parallelism: 2,
        max_parallelism: 128,
        max_parallelism_derived: false,
        slot_sharing_group: "default".to_string(),
        source,
        bounded: false,
        alignment_groups: Vec::new(),
    }
}

fn edge(source: VertexId, target: VertexId, partitioning: Partitioning) -> JobEdge {
    JobEdge { source, output: 0, target, input: 0, partitioning, exchange: Exchange::PipelinedBounded }
}

//! The job that everything happens to: submitted as a user would, seen through REST wherever its master is by now.

use super::injection::within;
use super::{Options, daemons};
use crate::command::{flink, required};
use crate::http::request_within;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long REST may take: one that is paused never answers.
const PATIENCE: Duration = Duration::from_millis(800);

/// How many subtasks each vertex has.
pub const PARALLELISM: usize = 2;

/// A submitted job.
#[derive(Clone)]
pub struct Target {
    /// Its application.
    pub application: String,
    /// Its id.
    pub job: String,
    /// Where its output is.
    pub output: String,
    /// The local file with whose appearance its input ends.
    marker: Arc<Marker>,
    rest: Arc<Mutex<Option<String>>>,
}

/// A local file that is removed when nobody asks for the job any more.
#[derive(Default)]
struct Marker(PathBuf);

impl Drop for Marker {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What REST says of a job at one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The job's state.
    pub state: String,
    /// When it was submitted, in milliseconds since 1970.
    pub submitted: u64,
    /// Whether every subtask runs.
    pub all_run: bool,
    /// When the newest completed checkpoint was triggered, in milliseconds since 1970.
    pub checkpointed: u64,
    /// How many restarts this master counts.
    pub restarts: u64,
    /// Whether a checkpoint is under way.
    pub checkpointing: bool,
    /// How many checkpoints are complete.
    pub completed: u64,
    /// How often tasks began with the state of one.
    pub restored: u64,
}

impl View {
    /// Whether the job is over.
    pub fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "FINISHED" | "FAILED" | "CANCELED")
    }
}

impl Target {
    /// Submits the job in an application of its own, with its files below a directory.
    ///
    /// # Errors
    /// What the client says.
    pub fn submit(options: &Options, directory: &str) -> Result<Target> {
        Target::submit_sized(options, directory, 1024)
    }

    /// The same, with task executors of so many MB.
    ///
    /// # Errors
    /// What the client says.
    pub fn submit_sized(options: &Options, directory: &str, executor: u64) -> Result<Target> {
        let line = format!("run -d -m yarn-cluster -yjm 1024 -ytm {executor} -ys 1 -p {PARALLELISM}");
        Target::run(options, directory, &line, properties(options, directory))
    }

    /// Submits the job to a session.
    ///
    /// # Errors
    /// What the client says.
    pub fn submit_to(session: &str, options: &Options, directory: &str) -> Result<Target> {
        let line = format!("run -d -yid {session} -p {PARALLELISM}");
        Target::run(options, directory, &line, properties(options, directory))
    }

    /// Submits the job's program as an application, in whose master its `main()` runs.
    ///
    /// # Errors
    /// What the client says, or if no job begins.
    pub fn submit_as_application(options: &Options, directory: &str) -> Result<Target> {
        let mut all = properties(options, directory);
        all.push(format!("-Dparallelism.default={PARALLELISM}"));
        for role in ["jobmanager", "taskmanager"] {
            all.push(format!("-D{role}.memory.process.size=1024m"));
        }
        let mut target = Target::run(options, directory, "run-application -t yarn-application", all)?;
        target.job = target.only_job()?;
        Ok(target)
    }

    fn run(options: &Options, directory: &str, line: &str, properties: Vec<String>) -> Result<Target> {
        let output = format!("{directory}/out");
        let name = directory.rsplit('/').next().unwrap_or_default();
        // Directories in HDFS have their process in their name further up.
        let marker = std::env::temp_dir().join(format!("{name}-{}.end", std::process::id()));
        let _ = std::fs::remove_file(&marker);
        let marker = Arc::new(Marker(marker));
        let mut line: Vec<String> = line.split(' ').map(str::to_string).collect();
        line.extend(properties);
        line.extend(["-c".into(), "ticks".into(), required("KVICK_TEST_JOBS")]);
        line.extend(["--until".into(), marker.0.display().to_string()]);
        line.extend(["--rate".into(), options.rate.to_string(), "--output".into(), output.clone()]);
        line.extend(["--roll".into(), options.roll.clone()]);
        let ran = flink(line);
        if ran.code != 0 {
            bail!("the job was not submitted:\n{}\n{}", ran.out, ran.err);
        }
        let job = if ran.out.contains("submitted with JobID") { ran.job() } else { String::new() };
        Ok(Target { application: ran.application(), job, output, marker, rest: Arc::default() })
    }

    /// A job of somebody else's program, of which only its life is seen.
    pub fn of(application: String, job: String) -> Target {
        Target { application, job, output: String::new(), marker: Arc::default(), rest: Arc::default() }
    }

    /// The id of the job that an application has begun.
    fn only_job(&self) -> Result<String> {
        let mut found = None;
        within(PATIENCE * 60, || {
            let overview = self.address().map(|address| format!("{address}/jobs/overview"));
            let answer = overview.and_then(|url| request_within("GET", &url, None, PATIENCE).ok());
            let jobs: Value = serde_json::from_str(&answer.unwrap_or_default().1).unwrap_or_default();
            found = jobs["jobs"][0]["jid"].as_str().map(str::to_string);
            found.is_some()
        });
        found.with_context(|| format!("{} has begun no job", self.application))
    }

    /// Ends the job's input.
    ///
    /// # Errors
    /// If the file that says so cannot be made.
    pub fn end_input(&self) -> Result<()> {
        let Marker(path) = &*self.marker;
        std::fs::write(path, "").with_context(|| path.display().to_string())
    }

    /// What REST says at a path below the job's own; nothing while nobody answers.
    pub fn get(&self, path: &str) -> Option<Value> {
        let address = self.address()?;
        let url = format!("{address}/jobs/{}{path}", self.job);
        match request_within("GET", &url, None, PATIENCE) {
            Ok((200, body)) => serde_json::from_str(&body).ok(),
            _ => {
                self.forget();
                None
            }
        }
    }

    /// Sends something to the job's REST address.
    ///
    /// # Errors
    /// If there is no answer, or a refusal.
    pub fn send(&self, method: &str, path: &str, body: Option<&str>) -> Result<Value> {
        let address = self.address().context("the application has no address")?;
        let url = format!("{address}/jobs/{}{path}", self.job);
        let (status, body) = request_within(method, &url, body, PATIENCE * 10)?;
        if !(200..300).contains(&status) {
            bail!("{method} {url}: {status} {body}");
        }
        Ok(serde_json::from_str(&body).unwrap_or_default())
    }

    /// How the job is; nothing while nobody answers.
    pub fn view(&self) -> Option<View> {
        let job = self.get("")?;
        let vertices = job["vertices"].as_array()?;
        let runs = |vertex: &Value| vertex["tasks"]["RUNNING"].as_u64() == vertex["parallelism"].as_u64();
        let checkpoints = self.get("/checkpoints")?;
        let metrics = self.get("/metrics?get=numRestarts")?;
        let counted = |what: &str| checkpoints["counts"][what].as_u64().unwrap_or_default();
        Some(View {
            state: job["state"].as_str()?.to_string(),
            submitted: job["start-time"].as_u64()?,
            all_run: job["state"] == "RUNNING" && !vertices.is_empty() && vertices.iter().all(runs),
            checkpointed: newest(&checkpoints),
            restarts: metrics[0]["value"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default(),
            checkpointing: counted("in_progress") > 0,
            completed: counted("completed"),
            restored: counted("restored"),
        })
    }

    /// YARN's record of the application; nothing while no ResourceManager is active.
    pub fn record(&self) -> Option<Value> {
        daemons::yarn(&format!("apps/{}", self.application)).map(|answer| answer["app"].clone())
    }

    fn address(&self) -> Option<String> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        if rest.is_none() {
            let record = self.record()?;
            let address = record["amRPCAddress"].as_str().filter(|address| !address.ends_with("-1"))?;
            *rest = Some(format!("http://{address}"));
        }
        rest.clone()
    }

    fn forget(&self) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn newest(checkpoints: &Value) -> u64 {
    let history = checkpoints["history"].as_array().cloned().unwrap_or_default();
    let completed = history.iter().filter(|checkpoint| checkpoint["status"] == "COMPLETED");
    completed.filter_map(|checkpoint| checkpoint["trigger_timestamp"].as_u64()).max().unwrap_or_default()
}

/// The job's configuration, as words of a command line. Time-outs follow from how long pauses are; nothing else is made easier
/// than it is by default, but that a checkpoint may fail, as a user allows whose HDFS is restarted now and then.
pub fn properties(options: &Options, directory: &str) -> Vec<String> {
    let time_out = options.time_out();
    let mut all = vec![
        ("execution.checkpointing.interval", "1s".to_string()),
        ("execution.checkpointing.dir", format!("{directory}/checkpoints")),
        ("execution.checkpointing.savepoint-dir", format!("{directory}/savepoints")),
        ("execution.checkpointing.tolerable-failed-checkpoints", "1000".to_string()),
        ("restart-strategy.type", "fixed-delay".to_string()),
        ("restart-strategy.fixed-delay.attempts", "1000000".to_string()),
        ("restart-strategy.fixed-delay.delay", "100ms".to_string()),
        ("heartbeat.timeout", format!("{}ms", time_out.as_millis())),
        ("heartbeat.interval", format!("{}ms", time_out.as_millis() / 5)),
        ("slotmanager.redundant-taskmanager-num", options.spares.to_string()),
        ("yarn.application-attempts", "1000".to_string()),
        // The cluster may allow as few as four attempts in this time.
        ("yarn.application-attempt-failures-validity-interval", "2000".to_string()),
        ("high-availability.type", options.ha.clone()),
    ];
    if let (true, Ok(quorum)) = (options.ha == "zookeeper", std::env::var("KVICK_ZOOKEEPER_QUORUM")) {
        all.push(("high-availability.zookeeper.quorum", quorum));
        all.push(("high-availability.storageDir", format!("{directory}/ha")));
    }
    let own = all.into_iter().map(|(key, value)| format!("-D{key}={value}"));
    // Of two the later counts.
    own.chain(options.more.iter().map(|assignment| format!("-D{assignment}"))).collect()
}

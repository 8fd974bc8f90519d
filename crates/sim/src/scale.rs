//! How many task executors and subtasks one application master can bear: everything is deployed, sends heartbeats and metrics,
//! and fails at one percent a minute; what is measured is the time that the decisions take, and the memory that they need.

use crate::job::wide_job;
use kvick_core::executor::{ExecutorInfo, FromExecutor, Holdings, TaskStatus, ToExecutor, WorkerStatus};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::{ExecutionId, ExecutorId, JobId};
use kvick_core::job::JobState;
use kvick_core::master::{Effect, Master, MasterMode, MasterSettings};
use kvick_core::resources::ResourceSettings;
use kvick_core::task::{TaskMetrics, TaskState};
use kvick_core::time::Millis;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// How many task executors, of one slot each.
    pub executors: u32,
    /// How many subtasks in each slot.
    pub depth: u32,
    /// How many slots each job takes.
    pub width: u32,
    /// How long it runs once all is deployed, in simulated minutes.
    pub minutes: u64,
}

/// What each event of a kind took, in nanoseconds. The median is not moved by whatever else the machine does meanwhile.
#[derive(Debug, Clone, Default)]
pub struct Cost(Vec<u32>);

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// By kind of event.
    pub costs: BTreeMap<&'static str, Cost>,
    /// Resident memory with nothing deployed, and with everything, in bytes.
    pub memory: (u64, u64),
    /// Time on the processor in all, in nanoseconds, the model's own included; 0 where that is not known.
    pub processor: u64,
    /// Task executors that failed.
    pub failures: u32,
    /// Simulated milliseconds until everything ran for the first time.
    pub deployed_in: u64,
}

struct Bench {
    scale: Scale,
    master: Master,
    now: Millis,
    containers: u32,
    /// Containers that run, and the jobs whose worker is there.
    executors: BTreeMap<ExecutorId, BTreeMap<JobId, Vec<ExecutionId>>>,
    /// What the task executors will say next.
    answers: VecDeque<(ExecutorId, FromExecutor)>,
    wanted: u32,
    report: Report,
}

/// Deploys everything, then lets it run and fail.
///
/// # Errors
/// Something does not run that should.
pub fn run(scale: Scale) -> Result<Report, String> {
    let settings = MasterSettings {
        checkpoints: true,
        mode: MasterMode::Session,
        resources: ResourceSettings::default(),
        heartbeat_interval: Millis(10_000),
        job_expiration: Millis(u64::MAX),
        result_wait: Millis(1_000),
    };
    let mut bench = Bench {
        scale,
        master: Master::new(Millis(0), settings),
        now: Millis(0),
        containers: 0,
        executors: BTreeMap::new(),
        answers: VecDeque::new(),
        wanted: 0,
        report: Report::default(),
    };
    bench.report.memory.0 = resident();
    let begin = on_processor();
    bench.deploy();
    bench.check_all_run()?;
    bench.report.deployed_in = bench.now.0;
    bench.report.memory.1 = resident();
    for minute in 0..scale.minutes {
        bench.minute(minute);
        bench.check_all_run()?;
    }
    bench.report.processor = on_processor().saturating_sub(begin);
    Ok(bench.report)
}

impl Bench {
    fn deploy(&mut self) {
        for job in 1..=self.scale.executors.div_ceil(self.scale.width) {
            let submission = wide_job(JobId(u128::from(job)), self.scale.width, self.scale.depth);
            self.decide("submit", |m, now, fx| {
                m.submit(now, submission, fx).unwrap_or_else(|error| panic!("{error}"))
            });
        }
        self.settle();
    }

    fn decide(&mut self, kind: &'static str, input: impl FnOnce(&mut Master, Millis, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        let begin = Instant::now();
        input(&mut self.master, self.now, &mut effects);
        // The driver asks after every input when it has to come back.
        std::hint::black_box(self.master.next_deadline());
        let took = begin.elapsed();
        let nanoseconds = u32::try_from(took.as_nanos()).unwrap_or(u32::MAX);
        self.report.costs.entry(kind).or_default().0.push(nanoseconds);
        effects.into_iter().for_each(|effect| self.perform(effect));
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::WantContainers(count) => self.wanted = count,
            Effect::ReleaseContainer { executor, .. } => drop(self.executors.remove(&executor)),
            Effect::Send { executor, message } => self.obey(executor, *message),
            _ => {}
        }
    }

    fn obey(&mut self, executor: ExecutorId, message: ToExecutor) {
        let Some(workers) = self.executors.get_mut(&executor) else { return };
        match message {
            ToExecutor::StartWorker { spec, .. } => {
                workers.insert(spec.job_id, Vec::new());
                let ready =
                    FromExecutor::WorkerReady { job_id: spec.job_id, address: "host:1".into(), pid: 1 };
                self.answers.push_back((executor, ready));
            }
            ToExecutor::Deploy { job_id, tasks } => {
                for task in tasks {
                    workers.entry(job_id).or_default().push(task.execution);
                    let report = report_of(job_id, task.execution, TaskState::Running);
                    self.answers.push_back((executor.clone(), report));
                }
            }
            ToExecutor::Cancel { job_id, executions } => {
                for task in executions {
                    workers.entry(job_id).or_default().retain(|live| *live != task);
                    self.answers.push_back((executor.clone(), report_of(job_id, task, TaskState::Canceled)));
                }
            }
            ToExecutor::StopWorker { job_id } => drop(workers.remove(&job_id)),
            _ => {}
        }
    }

    /// Containers come, and everything is said that is to be said, until nothing more follows.
    fn settle(&mut self) {
        loop {
            if let Some((executor, message)) = self.answers.pop_front() {
                let kind = kind_of(&message);
                self.decide(kind, |m, now, fx| m.from_executor(now, &executor, message, fx));
            } else if self.wanted > 0 {
                self.wanted -= 1;
                self.container();
            } else {
                return;
            }
        }
    }

    fn container(&mut self) {
        self.containers += 1;
        let id = ExecutorId(format!("container_1700000000000_0001_01_{:06}", self.containers));
        self.executors.insert(id.clone(), BTreeMap::new());
        let host = format!("node-{}", self.containers % 1_000);
        self.decide("container started", |m, now, fx| m.container_starting(now, id.clone(), &host, fx));
        let info = ExecutorInfo {
            id: id.clone(),
            host,
            slots: 1,
            pid: 1,
            cpu_cores: 1,
            physical_memory: 1,
            log_dir: String::new(),
            config: Default::default(),
        };
        let register =
            FromExecutor::Register { info: Box::new(info), holdings: Holdings::default(), connection: 1 };
        self.answers.push_back((id, register));
    }

    /// A minute: six heartbeats and six reports of metrics of each, and one in a hundred dies.
    fn minute(&mut self, minute: u64) {
        for beat in 0..6 {
            let due: Vec<ExecutorId> = self.executors.keys().cloned().collect();
            let step = 10_000 / due.len().max(1) as u64;
            let start = self.now;
            for (index, id) in due.into_iter().enumerate() {
                self.pass(start.plus(Millis(step * index as u64)));
                self.beat(&id);
                if index as u64 % 600 == (minute * 6 + beat) % 600 {
                    self.fail(id);
                }
            }
            self.pass(start.plus(Millis(10_000)));
        }
    }

    /// Time goes on; what is due on the way is done.
    fn pass(&mut self, to: Millis) {
        while let Some(due) = self.master.next_deadline().filter(|due| *due <= to) {
            self.now = self.now.max(due);
            self.decide("tick", |m, now, fx| m.tick(now, fx));
            self.settle();
        }
        self.now = to;
    }

    fn beat(&mut self, id: &ExecutorId) {
        let Some(workers) = self.executors.get(id) else { return };
        let metrics = |(job, tasks): (&JobId, &Vec<ExecutionId>)| FromExecutor::TaskMetrics {
            job_id: *job,
            tasks: tasks.iter().map(|task| (*task, TaskMetrics::default())).collect(),
            accumulators: Vec::new(),
        };
        let figures: Vec<FromExecutor> = workers.iter().map(metrics).collect();
        let beat = FromExecutor::Heartbeat { metrics: Default::default() };
        self.decide("heartbeat", |m, now, fx| m.from_executor(now, id, beat, fx));
        for message in figures {
            self.decide("metrics", |m, now, fx| m.from_executor(now, id, message, fx));
        }
    }

    fn fail(&mut self, id: ExecutorId) {
        self.report.failures += 1;
        self.executors.remove(&id);
        let failure = Failure::new(FailureKind::ExecutorLost, "the container ended");
        self.decide("container ended", |m, now, fx| m.container_ended(now, &id, failure, fx));
        self.settle();
    }

    fn check_all_run(&self) -> Result<(), String> {
        for (id, job) in self.master.jobs() {
            let counts = job.task_counts();
            let all = u64::from(self.scale.width) * u64::from(self.scale.depth);
            if job.state() != JobState::Running
                || counts.get(&TaskState::Running).map(|n| u64::from(*n)) != Some(all)
            {
                return Err(format!("at {} ms job {id} is {:?} with {counts:?}", self.now.0, job.state()));
            }
        }
        Ok(())
    }
}

fn report_of(job_id: JobId, execution: ExecutionId, state: TaskState) -> FromExecutor {
    let mut worker = WorkerStatus::starting(job_id);
    worker.tasks.push(TaskStatus::deployed(execution));
    let mut report = TaskStatus::deployed(execution).report;
    report.state = state;
    FromExecutor::Task { job_id, report }
}

fn kind_of(message: &FromExecutor) -> &'static str {
    match message {
        FromExecutor::Register { .. } => "registration",
        FromExecutor::WorkerReady { .. } => "worker ready",
        _ => "task report",
    }
}

/// Resident memory of this process in bytes (proc(5)); 0 where that is not known.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
}

/// Time that this thread spent on a processor, in nanoseconds (`/proc/<pid>/schedstat`, first field); 0 where that is not known.
fn on_processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Cost {
    /// The time that this part of the events did not exceed, in microseconds.
    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let index = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(index).map_or(0.0, |nanoseconds| f64::from(*nanoseconds) / 1e3)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:<18} {:>10} {:>12} {:>12}", "event", "number", "median us", "99 % us")?;
        let mut events = 0;
        for (kind, cost) in &self.costs {
            let (median, most) = (cost.quantile(0.5), cost.quantile(0.99));
            writeln!(f, "{kind:<18} {:>10} {median:>12.1} {most:>12.1}", cost.0.len())?;
            events += cost.0.len();
        }
        let (before, after) = self.memory;
        let (grown, seconds) = (after.saturating_sub(before) >> 20, self.processor as f64 / 1e9);
        let mean = seconds * 1e6 / events.max(1) as f64;
        writeln!(
            f,
            "{} task executors failed; {seconds:.1} s on the processor, {mean:.1} us per event",
            self.failures
        )?;
        writeln!(f, "with everything deployed the process has grown by {grown} MiB")
    }
}

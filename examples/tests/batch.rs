//! A batch job in worker processes under a real job master: a worker is killed when others are to read what it has kept.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test uses its part of it")]
mod harness;

use harness::{PATIENCE, Program, graph_of, ready_worker, worker_spec};
use kvick_core::config::Configuration;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::graph::{JobEdge, JobGraph};
use kvick_core::host::{FromProgram, ToProgram};
use kvick_core::ids::{ExecutorId, JobId, SlotId};
use kvick_core::job::{Artifact, JobResult, JobState, JobSubmission, ProgramSpec};
use kvick_core::jobmaster::{JobEffect, JobMaster, JobSettings};
use kvick_core::time::Millis;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BATCH: &str = env!("CARGO_BIN_EXE_batch-wordcount");

/// A job master, and workers as it wants them: one for each slot that it uses.
struct Cluster<'a> {
    master: JobMaster,
    arguments: &'a [&'a str],
    directory: PathBuf,
    workers: BTreeMap<ExecutorId, Program>,
    effects: VecDeque<JobEffect>,
    begun: Instant,
    /// Slots that the job does not hold, the next one last; how many it holds, and how many it wants.
    free: Vec<SlotId>,
    held: usize,
    wanted: usize,
    /// How many workers were started.
    started: usize,
    /// Which worker is killed when the first tasks that read kept results are about to begin.
    victim: Option<ExecutorId>,
    result: Option<JobResult>,
}

fn submission(graph: JobGraph) -> JobSubmission {
    let jar = Artifact { name: "job.jar".into(), uri: String::new(), sha256: String::new(), size: 0 };
    let program = ProgramSpec { jar, entry: None, args: Vec::new() };
    let (once, earlier) = (BTreeMap::new(), Vec::new());
    JobSubmission {
        job_id: JobId(7),
        ordinal: 0,
        program,
        graph,
        config: Configuration::default(),
        once,
        earlier,
    }
}

fn executor(index: u32) -> ExecutorId {
    ExecutorId(format!("executor-{index}"))
}

impl Cluster<'_> {
    fn now(&self) -> Millis {
        Millis(self.begun.elapsed().as_millis() as u64)
    }

    fn decide(&mut self, input: impl FnOnce(&mut JobMaster, Millis, &mut Vec<JobEffect>)) {
        let mut effects = Vec::new();
        let now = self.now();
        input(&mut self.master, now, &mut effects);
        self.effects.extend(effects);
    }

    fn run(&mut self) -> JobResult {
        self.decide(JobMaster::start);
        while self.begun.elapsed() < PATIENCE {
            while let Some(effect) = self.effects.pop_front() {
                self.perform(effect);
            }
            if let Some(result) = self.result.take() {
                return result;
            }
            for id in self.workers.keys().cloned().collect::<Vec<_>>() {
                let message = self.workers.get_mut(&id).and_then(|w| w.next(Duration::from_millis(5)));
                if let Some(FromProgram::Task { report }) = message {
                    self.decide(|m, now, fx| m.task_report(now, &report, fx));
                }
            }
            self.decide(JobMaster::tick);
        }
        panic!("the job does not end: {:?} {:?}", self.master.task_counts(), self.master.exceptions());
    }

    fn perform(&mut self, effect: JobEffect) {
        match effect {
            JobEffect::RequireSlots(wanted) => {
                self.wanted = wanted as usize;
                self.grant();
            }
            JobEffect::LeaveSlots(slots) => {
                self.held -= slots.len();
                self.free.extend(slots);
                self.grant();
            }
            JobEffect::StartWorker(id) => {
                let mut spec = worker_spec(&self.master.submission().graph);
                spec.tmp_dirs = vec![self.directory.join(&id.0).display().to_string()];
                let (worker, address) = ready_worker(BATCH, self.arguments, &spec, &self.directory);
                self.workers.insert(id.clone(), worker);
                self.started += 1;
                self.decide(|m, now, fx| m.worker_ready(now, &id, address, fx));
            }
            JobEffect::Deploy(id, tasks) => {
                if let Some(victim) = self.victim.take_if(|_| tasks.iter().any(|t| !t.inputs.is_empty())) {
                    self.kill(&victim);
                }
                self.tell(&id, &ToProgram::Deploy { tasks });
            }
            JobEffect::Cancel(id, executions) => self.tell(&id, &ToProgram::Cancel { executions }),
            JobEffect::StopWorker(id) => {
                if let Some(mut worker) = self.workers.remove(&id) {
                    worker.send(&ToProgram::Shutdown);
                    assert!(worker.ended().0.success());
                }
            }
            JobEffect::Ended(result) => self.result = Some(*result),
            _ => {}
        }
    }

    fn grant(&mut self) {
        let missing = self.wanted.saturating_sub(self.held).min(self.free.len());
        let slots: Vec<SlotId> = (0..missing).filter_map(|_| self.free.pop()).collect();
        self.held += missing;
        if !slots.is_empty() {
            self.decide(|m, now, fx| m.slots_granted(now, slots, fx));
        }
    }

    fn tell(&mut self, id: &ExecutorId, message: &ToProgram) {
        // To one that is gone nothing can be said, as on a cluster.
        if let Some(worker) = self.workers.get_mut(id) {
            worker.send(message);
        }
    }

    fn kill(&mut self, id: &ExecutorId) {
        self.workers.remove(id).unwrap().kill();
        let failure = Failure::new(FailureKind::WorkerLost, "killed");
        // What the master had decided before goes out first.
        let later: Vec<JobEffect> = self.effects.drain(..).collect();
        self.decide(|m, now, fx| m.worker_lost(now, id, failure, fx));
        later.into_iter().rev().for_each(|effect| self.effects.push_front(effect));
    }
}

fn words() -> (String, BTreeMap<String, u64>) {
    let (mut text, mut counts) = (String::new(), BTreeMap::new());
    for number in 0..200_000_u64 {
        let word = format!("word{}", kvick_examples::random(number) % 5_000);
        *counts.entry(word.clone()).or_insert(0) += 1;
        text.push_str(&word);
        text.push(if number % 10 == 9 { '\n' } else { ' ' });
    }
    (text, counts)
}

fn counted(output: &Path) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for part in fs::read_dir(output).unwrap() {
        for line in fs::read_to_string(part.unwrap().path()).unwrap().lines() {
            let (word, count) = line.split_once(' ').unwrap();
            assert!(counts.insert(word.to_string(), count.parse().unwrap()).is_none(), "{word} twice");
        }
    }
    counts
}

fn files_below(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

/// Runs the job on so many workers; returns the attempts of each task in the end, by vertex.
fn run(parallelism: u32, slots: u32, victim: Option<ExecutorId>) -> Vec<Vec<u32>> {
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in.txt"), directory.path().join("out"));
    let (text, expected) = words();
    fs::write(&input, text).unwrap();
    let arguments = ["--input", input.to_str().unwrap(), "--output", output.to_str().unwrap()];
    let graph = graph_of(BATCH, &arguments, parallelism, directory.path());
    assert!(graph.edges.iter().all(JobEdge::is_blocking), "the default on a cluster is Flink's");
    let vertices = graph.vertices.len();
    let mut settings = Configuration::default();
    settings.set("restart-strategy.type", "fixed-delay");
    settings.set("restart-strategy.fixed-delay.attempts", "1");
    settings.set("restart-strategy.fixed-delay.delay", "1 ms");
    let settings = JobSettings::from_config(&graph.config, &settings).unwrap();
    let mut cluster = Cluster {
        master: JobMaster::new(Millis(0), submission(graph), settings),
        arguments: &arguments,
        directory: directory.path().to_path_buf(),
        workers: BTreeMap::new(),
        effects: VecDeque::new(),
        begun: Instant::now(),
        free: (0..slots).rev().map(|index| SlotId { executor: executor(index), index: 0 }).collect(),
        held: 0,
        wanted: 0,
        started: 0,
        victim: victim.clone(),
        result: None,
    };
    let result = cluster.run();
    assert_eq!(result.state, JobState::Finished, "{:?}", result.failure);
    assert_eq!(counted(&output), expected);
    while let Some(effect) = cluster.effects.pop_front() {
        cluster.perform(effect);
    }
    assert!(cluster.workers.is_empty());
    assert_eq!(
        cluster.started,
        slots as usize + usize::from(victim.is_some()),
        "a slot that is used again has its worker"
    );
    // A process that was killed leaves its files to its task executor.
    for index in (0..slots).filter(|index| victim != Some(executor(*index))) {
        assert_eq!(files_below(&directory.path().join(executor(index).0)), 0);
    }
    let attempts = |vertex| cluster.master.executions(vertex).iter().map(|e| e.attempt).collect();
    (0..vertices).map(attempts).collect()
}

#[test]
fn workers_read_what_others_have_kept_and_remove_it() {
    assert!(run(2, 2, None).iter().flatten().all(|attempt| *attempt == 0));
}

#[test]
fn a_job_runs_part_by_part_where_there_are_fewer_slots_than_subtasks() {
    assert!(run(4, 1, None).iter().flatten().all(|attempt| *attempt == 0));
    assert!(run(3, 2, None).iter().flatten().all(|attempt| *attempt == 0));
}

#[test]
fn what_a_killed_worker_had_kept_is_made_again_and_nothing_else() {
    let attempts = run(2, 2, Some(executor(0)));
    assert_eq!(
        attempts[0],
        [1, 0],
        "the producer in the killed worker runs again, the other does not: {attempts:?}"
    );
}

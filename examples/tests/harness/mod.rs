//! The host's side of the conversation with a job program, for tests: spawns it in a role, sends and awaits messages.

use kvick_core::graph::JobGraph;
use kvick_core::host::{FromProgram, HOST_ENV, Role, ToProgram, WorkerSpec};
use kvick_core::ids::{ExecutionId, JobId};
use kvick_core::task::{TaskDeployment, TaskReport, TaskState};
use kvick_runtime::embedded::deployments;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A program that was spawned. Dropping it ends the process.
pub struct Program {
    child: Child,
    stream: UnixStream,
    messages: Receiver<FromProgram>,
    kept: Vec<FromProgram>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    pub fn spawn(role: Role, program: &str, arguments: &[&str], directory: &Path) -> Program {
        let socket = directory.join(format!("{}-{}.sock", role.as_str(), unique()));
        let listener = UnixListener::bind(&socket).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .env(HOST_ENV, format!("{}:{}", role.as_str(), socket.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stream, _) = listener.accept().unwrap();
        let (sender, messages) = channel();
        let mut reading = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut reading) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut program = Program { child, stream, messages, kept: Vec::new() };
        program.wait_for(|m| matches!(m, FromProgram::Hello { .. }));
        program
    }

    pub fn send(&mut self, message: &ToProgram) {
        let body = serde_json::to_vec(message).unwrap();
        self.stream.write_all(&(body.len() as u32).to_be_bytes()).unwrap();
        self.stream.write_all(&body).unwrap();
    }

    /// The first message for which this holds; others are kept for later.
    pub fn wait_for(&mut self, wanted: impl Fn(&FromProgram) -> bool) -> FromProgram {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at);
        }
        loop {
            let message =
                self.messages.recv_timeout(PATIENCE).expect("the program says what was expected in time");
            if wanted(&message) {
                return message;
            }
            self.kept.push(message);
        }
    }

    pub fn wait_for_state(&mut self, execution: ExecutionId, state: TaskState) -> TaskReport {
        let wanted = |m: &FromProgram| matches!(m, FromProgram::Task { report } if report.execution == execution && report.state == state);
        match self.wait_for(wanted) {
            FromProgram::Task { report } => report,
            _ => unreachable!(),
        }
    }

    /// What it says within this time, if anything.
    pub fn next(&mut self, within: Duration) -> Option<FromProgram> {
        if self.kept.is_empty() { self.messages.recv_timeout(within).ok() } else { Some(self.kept.remove(0)) }
    }

    /// Ends the process as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes the socket, as a host that dies does.
    pub fn lose_host(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// Waits for the end of the process; returns what it printed as well.
    pub fn ended(&mut self) -> (ExitStatus, String) {
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        (self.child.wait().unwrap(), printed)
    }
}

fn unique() -> u64 {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

fn read(stream: &mut UnixStream) -> Option<FromProgram> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).unwrap())
}

/// The graph that a program builds, asked for as `flink info` does.
pub fn graph_of(program: &str, arguments: &[&str], parallelism: u32, directory: &Path) -> JobGraph {
    let mut client = Program::spawn(Role::Client, program, arguments, directory);
    let mut config = kvick_core::config::Configuration::default();
    config.set("parallelism.default", parallelism.to_string());
    client.send(&ToProgram::Welcome { config, once: BTreeMap::new() });
    let FromProgram::Execute { graph, .. } = client.wait_for(|m| matches!(m, FromProgram::Execute { .. }))
    else {
        unreachable!()
    };
    client.send(&ToProgram::PlanTaken);
    assert!(client.ended().0.success());
    graph
}

/// What a worker of a job on this machine is told.
pub fn worker_spec(graph: &JobGraph) -> WorkerSpec {
    WorkerSpec {
        job_id: JobId(7),
        ordinal: 0,
        graph: graph.clone(),
        config: Default::default(),
        once: BTreeMap::new(),
        earlier: Vec::new(),
        host: "127.0.0.1".to_string(),
        bind_address: "127.0.0.1".to_string(),
        data_ports: "0".to_string(),
        secret: "between us".to_string(),
        executor: "executor".to_string(),
        tmp_dirs: Vec::new(),
        hadoop: BTreeMap::new(),
        user: String::new(),
    }
}

/// Starts a worker and waits until it is ready; returns it with the address of its data listener.
pub fn ready_worker(
    program: &str,
    arguments: &[&str],
    spec: &WorkerSpec,
    directory: &Path,
) -> (Program, String) {
    let mut worker = Program::spawn(Role::Worker, program, arguments, directory);
    worker.send(&ToProgram::Work { spec: Box::new(spec.clone()) });
    let FromProgram::WorkerReady { data_port } =
        worker.wait_for(|m| matches!(m, FromProgram::WorkerReady { .. }))
    else {
        unreachable!()
    };
    (worker, format!("127.0.0.1:{data_port}"))
}

/// The tasks of a graph, subtask i to worker i modulo the number of workers.
pub fn spread(graph: &JobGraph, addresses: &[String]) -> Vec<Vec<TaskDeployment>> {
    let mut shares = vec![Vec::new(); addresses.len()];
    for mut task in deployments(graph) {
        for producer in task.inputs.iter_mut().flat_map(|input| &mut input.producers) {
            producer.address = addresses[producer.execution.subtask as usize % addresses.len()].clone();
        }
        shares[task.execution.subtask as usize % addresses.len()].push(task);
    }
    shares
}

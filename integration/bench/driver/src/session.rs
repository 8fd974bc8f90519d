//! A session: how soon it is ready, jobs in it, how soon eight task executors are there, and what its processes hold.

use crate::Bench;
use crate::memory::containers;
use crate::report::{Aim, Row, Unit};
use crate::sample::Sample;
use crate::submission::{now, number};
use crate::system::{System, succeeded};
use anyhow::{Context, Result};
use kvick_integration::cluster::{kill, rest};
use kvick_integration::http::json;
use std::time::{Duration, Instant};

/// The containers of both systems: Flink does not start in a smaller one than about 730 MB.
const SESSION: &str = "-jm 1024 -tm 1024 -s 1";

/// Longer than any of it has ever taken.
const LIMIT: Duration = Duration::from_secs(180);

#[derive(Default)]
struct Figures {
    ready: Sample,
    first: Sample,
    later: Sample,
    runtime: Sample,
    master: Sample,
    executor: Sample,
    eight: Sample,
}

/// A session that is killed when it goes out of scope, whatever happens in it.
pub struct Session(pub String);

impl Session {
    /// Starts one; also answers how long its command took, ms.
    pub fn start(system: &System, arguments: &str) -> Result<(Session, f64)> {
        crate::submission::shift_phase();
        let ran = system.session(arguments)?;
        Ok((Session(ran.application()), ran.took.as_secs_f64() * 1000.0))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        kill(&self.0);
    }
}

/// The number of the line `Job Runtime: N ms`.
pub fn runtime(output: &str) -> Result<f64> {
    let line = output.lines().find_map(|line| line.strip_prefix("Job Runtime: ")?.strip_suffix(" ms"));
    Ok(line.context("no line \"Job Runtime\"")?.parse()?)
}

fn job(system: &System) -> Result<(f64, f64)> {
    let ran = succeeded(&mut system.wordcount("run", &[]))?;
    Ok((ran.took.as_secs_f64() * 1000.0, runtime(&ran.out)?))
}

fn one_session(system: &System, jobs: usize, figures: &mut Figures) -> Result<()> {
    let (session, ready) = Session::start(system, SESSION)?;
    figures.ready.push(ready);
    figures.first.push(job(system)?.0);
    for _ in 0..jobs {
        let (command, runtime) = job(system)?;
        figures.later.push(command);
        figures.runtime.push(runtime);
    }
    let held = containers(&session.0).context("the session's processes are not there")?;
    figures.master.push(held.master);
    figures.executor.push(held.executor.context("the session's task executor is not there")?);
    Ok(())
}

/// From the moment the job came to the session to the moment eight task executors were registered, ms.
fn eight(system: &System) -> Result<f64> {
    let (session, _) = Session::start(system, SESSION)?;
    let address = rest(&session.0);
    let mut submission = system.wordcount("run -d -p 8", &[]).stdout(std::process::Stdio::null()).spawn()?;
    let registered = until_registered(&address, 8);
    anyhow::ensure!(submission.wait()?.success(), "the job was not accepted");
    let jobs = json(&format!("{address}/jobs/overview"));
    let asked = number(&jobs["jobs"][0], "start-time").context("the session tells no job")?;
    Ok(registered? - asked)
}

fn until_registered(address: &str, wanted: usize) -> Result<f64> {
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        let answer = json(&format!("{address}/taskmanagers"));
        if answer["taskmanagers"].as_array().is_some_and(|all| all.len() >= wanted) {
            return Ok(now());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    anyhow::bail!("{wanted} task executors were not registered within {LIMIT:?}")
}

fn figures(system: &System, runs: usize) -> Result<Figures> {
    let mut figures = Figures::default();
    for _ in 0..runs {
        one_session(system, runs.max(3), &mut figures)?;
        figures.eight.push(eight(system)?);
    }
    Ok(figures)
}

/// Measures sessions on every system.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let mut rows = [
        Row::new("session: start → ready", Unit::Milliseconds).aim(Aim::FloorPlus(500.0)),
        Row::new("session: first job, with a new container", Unit::Milliseconds),
        Row::new("session: later job, the command's duration", Unit::Milliseconds).aim(Aim::AtMost(300.0)),
        Row::new("session: later job, its own runtime", Unit::Milliseconds),
        Row::new("session: eight task executors after asking", Unit::Milliseconds).aim(Aim::AtMost(3000.0)),
        Row::new("session: application master, resident", Unit::Megabytes).aim(Aim::AtMost(40.0)),
        Row::new("session: idle task executor, resident", Unit::Megabytes).aim(Aim::AtMost(20.0)),
    ];
    for (system, runs) in bench.systems() {
        let f = figures(system, runs)?;
        let samples = [f.ready, f.first, f.later, f.runtime, f.eight, f.master, f.executor];
        rows.iter_mut().zip(samples).for_each(|(row, sample)| row.add(system.name, sample));
    }
    bench.report.extend(rows);
    Ok(())
}

//! Per-job and application mode, from the command to the application's end, and the memory that the client takes.

use crate::Bench;
use crate::memory::peak_while;
use crate::report::{Aim, Row, Unit};
use crate::sample::Sample;
use crate::submission::Submission;
use crate::system::System;
use anyhow::Result;
use std::process::Command;

/// What a mode's command line begins with, and what the table calls it.
const MODES: [(&str, &str); 2] =
    [("per-job", "run -t yarn-per-job"), ("application", "run-application -t yarn-application")];

#[derive(Default)]
struct Figures {
    finished: Sample,
    command: Sample,
    memory: Sample,
}

impl Figures {
    fn take(&mut self, command: &mut Command) -> Result<()> {
        crate::submission::shift_phase();
        let begin = crate::submission::now();
        let (ran, peak) = peak_while(command)?;
        let submission = Submission::since(begin, &ran)?;
        self.finished.push(submission.finished);
        self.command.push(submission.command);
        self.memory.push(peak);
        Ok(())
    }
}

fn figures(system: &System, mode: &str, runs: usize) -> Result<Figures> {
    let mut figures = Figures::default();
    // The first submission fills the cache; what it costs is told by the upload's part.
    Figures::default().take(&mut system.wordcount(mode, &[]))?;
    for _ in 0..runs {
        figures.take(&mut system.wordcount(mode, &[]))?;
    }
    Ok(figures)
}

/// Measures both modes on every system.
pub fn measure(bench: &mut Bench) -> Result<()> {
    for (name, arguments) in MODES {
        let mut finished =
            Row::new(&format!("{name}: submit → finished"), Unit::Milliseconds).aim(Aim::TimesFloor(1.5));
        let mut command = Row::new(&format!("{name}: the command's duration"), Unit::Milliseconds);
        let mut memory =
            Row::new(&format!("{name}: client, peak resident"), Unit::Megabytes).aim(Aim::AtMost(30.0));
        for (system, runs) in bench.systems() {
            let figures = figures(system, arguments, runs)?;
            finished = finished.with(system.name, figures.finished);
            command = command.with(system.name, figures.command);
            memory = memory.with(system.name, figures.memory);
        }
        bench.report.extend([finished, command, memory]);
    }
    Ok(())
}

//! The distributed shell: a master and N containers that run `true`. Nothing on YARN can be quicker.

use crate::Bench;
use crate::report::{Aim, Row, Unit};
use crate::sample::Sample;
use crate::submission::submit;
use anyhow::Result;
use kvick_integration::command::required;
use std::process::Command;

fn shell(containers: u32) -> Command {
    let mut command = Command::new(required("KVICK_BENCH_FLOOR"));
    command.args(["-n", &containers.to_string(), "--", "true"]).stdin(std::process::Stdio::null());
    command
}

fn runs(bench: &Bench, containers: u32) -> Result<Sample> {
    (0..bench.options.runs).map(|_| Ok(submit(&mut shell(containers))?.finished)).collect()
}

/// Measures the floor with one container and with eight; the first is what the others are compared with.
pub fn measure(bench: &mut Bench) -> Result<()> {
    // The first run copies the program to the nodes, which is not what is to be measured.
    submit(&mut shell(8))?;
    let one = runs(bench, 1)?;
    bench.report.floor = one.median();
    for (what, sample) in
        [("distributed shell, 1 container", one), ("distributed shell, 8 containers", runs(bench, 8)?)]
    {
        bench.report.add(Row::new(what, Unit::Milliseconds).with("floor", sample).aim(Aim::None));
    }
    Ok(())
}

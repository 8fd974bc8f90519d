//! One submission to YARN, timed from the start of the command.

use anyhow::{Context, Result};
use kvick_integration::cluster::ended;
use kvick_integration::command::Ran;
use serde_json::Value;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What became of a submission.
pub struct Submission {
    /// From the start of the command to the application's end in YARN's record, ms.
    pub finished: f64,
    /// From the start of the command to its exit, ms.
    pub command: f64,
}

/// Milliseconds since the epoch, as YARN counts.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

/// Waits for a part of a node's heartbeat interval (1 s), another one each time and all equally often. Nodes hand out
/// containers when they send a heartbeat; without this each submission would begin where in the interval the one before
/// ended, and how long it waits for the next heartbeat would be that one's doing.
pub fn shift_phase() {
    static SUBMISSIONS: AtomicU64 = AtomicU64::new(0);
    // Multiples of the golden ratio are spread evenly whatever their number.
    let part = (SUBMISSIONS.fetch_add(1, Ordering::Relaxed) as f64 * 0.618_033_988_75).fract();
    std::thread::sleep(Duration::from_secs_f64(part));
}

/// Runs a command that submits an application, and waits for that application's end.
pub fn submit(command: &mut Command) -> Result<Submission> {
    shift_phase();
    let begin = now();
    let ran = crate::system::succeeded(command)?;
    Submission::since(begin, &ran)
}

impl Submission {
    /// The submission of a command that was started at `begin` and has ended.
    pub fn since(begin: f64, ran: &Ran) -> Result<Submission> {
        let id = ran.application();
        let application = ended(&id);
        anyhow::ensure!(application["finalStatus"] == "SUCCEEDED", "{id} did not succeed: {application:#}");
        let finished = application["finishedTime"].as_f64().context("no finishedTime in YARN's record")?;
        Ok(Submission { finished: finished - begin, command: ran.took.as_secs_f64() * 1000.0 })
    }
}

/// The number under a key of a JSON object.
pub fn number(object: &Value, key: &str) -> Option<f64> {
    object[key].as_f64()
}

//! The task executor: the supervisor in a container. It offers slots to the application master, runs one worker process
//! per job, carries messages between both, and reports how workers end. It knows nothing of records.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod artifact;
mod leader;
mod lease;
mod link;
mod logs;
mod memory_guard;
mod remains;
mod settings;
mod supervisor;
mod worker;

use anyhow::{Context, Result};
use settings::Settings;
use std::process::ExitCode;
use std::time::Duration;
use tracing::{error, info};

/// Exit code of a task executor that could not be set up, as Flink's.
const STARTUP_FAILED: u8 = 31;

/// How long the end waits for what blocks a thread: files of ended workers are being removed.
const LAST_WORK: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let settings = match Settings::from_environment() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("cannot start the task executor: {error:#}");
            return ExitCode::from(STARTUP_FAILED);
        }
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("task executor ends: {error:#}");
            eprintln!("task executor ends: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: Settings) -> Result<()> {
    let log = settings.log_dir.join("taskmanager.log");
    kvick_process::log::to_file(&log).with_context(|| format!("cannot write {}", log.display()))?;
    info!(executor = %settings.id, slots = settings.slots, master = %settings.master, "starting task executor");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = supervisor::run(settings) => ended,
            signal = kvick_process::stop::requested() => {
                info!("ending on {}", signal?);
                Ok(())
            }
        }
    });
    // A thread that asks a name server, or a disk, which does not answer would else be waited for.
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

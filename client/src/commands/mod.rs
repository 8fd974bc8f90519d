//! What is done for each action, and with which exit code it ends.

mod info;
mod jobs;
mod listing;
mod run;
mod session;

use crate::args::{self, Invocation, UsageError, help};
use crate::console;
use crate::outcome::{AlreadyTold, NoJob};
use crate::settings::files::NoConfDir;
use anyhow::Result;
use kvick_core::ENGINE_VERSION;

/// Ended as asked.
const OK: u8 = 0;
/// Failed, for whatever reason.
const FAILED: u8 = 1;
/// Failed before the action was looked at: Flink's own code for it.
const FATAL: u8 = 31;

/// Runs `flink` with these arguments; its exit code.
pub async fn flink(arguments: &[String]) -> u8 {
    match args::parse_flink(arguments) {
        Ok(invocation) => end(invoke(invocation).await),
        Err(error) => usage(&error),
    }
}

/// Runs `yarn-session` with these arguments; its exit code.
pub async fn yarn_session(arguments: &[String]) -> u8 {
    match args::parse_action(args::Action::Session, arguments) {
        Ok(invocation) => end(invoke(invocation).await),
        Err(error) => usage(&error),
    }
}

/// What is said of a cluster that was started and left alone.
pub fn detached_text(application_id: &str) -> String {
    format!(
        "The Flink YARN session cluster has been started in detached mode. In order to stop Flink gracefully, use the following command:\n\
         $ echo \"stop\" | ./bin/yarn-session.sh -id {application_id}\n\
         If this should not be possible, then you can also kill Flink via YARN's web interface or via:\n\
         $ yarn application -kill {application_id}\n\
         Note that killing Flink might not clean up all job artifacts and temporary files."
    )
}

async fn invoke(invocation: Invocation) -> Result<u8> {
    match invocation {
        Invocation::NoAction => {
            console::print(&help::all());
            console::line("Please specify an action.");
            return Ok(FAILED);
        }
        Invocation::Help(None) => console::print(&help::all()),
        Invocation::Help(Some(action)) => console::print(&help::of(action)),
        Invocation::Version => console::line(version()),
        Invocation::UnknownAction(name) => return Ok(unknown_action(&name)),
        Invocation::Run(args) => run::run(&args).await?,
        Invocation::RunApplication(args) => run::run_application(&args).await?,
        Invocation::Info(args) => info::info(&args).await?,
        Invocation::List(args) => jobs::list(&args).await?,
        Invocation::Stop(args) => jobs::stop(&args).await?,
        Invocation::Cancel(args) => jobs::cancel(&args).await?,
        Invocation::Savepoint(args) => jobs::savepoint(&args).await?,
        Invocation::Checkpoint(args) => jobs::checkpoint(&args).await?,
        Invocation::Modify(args) => jobs::modify(&args).await?,
        Invocation::Session(args) => session::session(&args).await?,
    }
    Ok(OK)
}

fn version() -> String {
    format!("Version: {ENGINE_VERSION}, compatible with Flink {}", kvick_core::COMPATIBLE_FLINK_VERSION)
}

fn unknown_action(name: &str) -> u8 {
    console::line(format!("\"{name}\" is not a valid action."));
    console::line(
        "\nValid actions are \"run\", \"run-application\", \"list\", \"info\", \"savepoint\", \"stop\", or \"cancel\".",
    );
    console::line("\nSpecify the version option (-v or --version) to print Flink version.");
    console::line("\nSpecify the help option (-h or --help) to get help on the command.");
    FAILED
}

fn usage(error: &UsageError) -> u8 {
    console::line(&error.0);
    console::line("\nUse the help option (-h or --help) to get help on the command.");
    FAILED
}

fn end(outcome: Result<u8>) -> u8 {
    let error = match outcome {
        Ok(code) => return code,
        Err(error) => error,
    };
    if let Some(error) = error.downcast_ref::<UsageError>() {
        return usage(error);
    }
    if let Some(AlreadyTold(code)) = error.downcast_ref() {
        return *code;
    }
    if error.is::<NoJob>() {
        console::complain(error.to_string());
        return FAILED;
    }
    console::failure(&error);
    if error.is::<NoConfDir>() { FATAL } else { FAILED }
}

//! `flink` and `yarn-session`: the command line by which jobs and clusters are run.
//!
//! Reading order: [`args`] (what was typed), [`settings`] (what it means), [`commands`] (what is done), [`execution`] (the
//! user's program and its jobs), [`deploy`] (bringing an application to YARN), [`rest`] (speaking to its
//! master), [`master`] (finding it again when it is gone).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod cluster;
mod commands;
mod console;
mod deploy;
mod execution;
mod jar;
mod master;
mod outcome;
mod rest;
mod settings;
mod survivors;
mod user;

use std::path::Path;

fn main() {
    let mut arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console::complain(format!("Cannot start the threads of the client: {error}"));
            std::process::exit(1);
        }
    };
    let code = runtime.block_on(async {
        match is_session(&program) {
            true => commands::yarn_session(&arguments).await,
            false => commands::flink(&arguments).await,
        }
    });
    // Not by returning: a thread may be waiting for input that never comes.
    std::process::exit(i32::from(code));
}

/// Whether this program was called as `yarn-session` or `yarn-session.sh`.
fn is_session(program: &str) -> bool {
    let name = Path::new(program).file_name().map(|name| name.to_string_lossy().into_owned());
    name.is_some_and(|name| name.starts_with("yarn-session"))
}

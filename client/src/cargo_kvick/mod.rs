//! The commands of `cargo kvick`.

mod jar;
mod new;
mod options;

use anyhow::{Result, bail};

const HELP: &str = "\
Make and pack Kvick jobs

Usage: cargo kvick <command> [options]

Commands:
  new NAME   make a project for a job in the directory NAME
             --engine-path DIR   where Kvick's sources are (a checkout); or set KVICK_ENGINE_PATH
  jar        build the programs of the package in this directory and pack them into a jar
             --bin NAME          only this program; may be repeated
             --main NAME         the entry point to run when `flink run` names none with -c
             --entry BIN=NAME    call the program BIN by another name in the jar; may be repeated
             --file PATH         also pack this file; it lies beside the program when it runs; may be repeated
             --target TRIPLE     build for another target
             --debug             build without optimisation
             --out FILE          where to write the jar (default: target/<package>.jar)

A project made by `new` runs with `cargo run`, and on a cluster with `flink run target/<package>.jar`.
";

/// Runs a command.
///
/// # Errors
/// What went wrong, for the person at the terminal.
pub fn run(arguments: &[String]) -> Result<()> {
    match arguments.split_first() {
        None => {
            print!("{HELP}");
            Ok(())
        }
        Some((command, _)) if ["-h", "--help", "help"].contains(&command.as_str()) => {
            print!("{HELP}");
            Ok(())
        }
        Some((command, rest)) => match command.as_str() {
            "new" => new::run(rest),
            "jar" => jar::run(rest),
            other => bail!("unknown command \"{other}\"; see `cargo kvick --help`"),
        },
    }
}

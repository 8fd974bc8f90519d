//! `cargo kvick`: makes job projects and packs them into jars.
//!
//! Knows cargo and jars, nothing of clusters. What it prints on standard output is what it made; the rest is on standard
//! error.

#[path = "../cargo_kvick/mod.rs"]
mod cargo_kvick;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Cargo calls `cargo-kvick kvick …`; called directly the word is not there.
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "kvick") {
        arguments.remove(0);
    }
    match cargo_kvick::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

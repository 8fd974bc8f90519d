//! Runs a job program for application mode.

use crate::cluster::ClusterHandle;
use kvick_core::config::Configuration;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::job::ProgramSpec;
use std::path::Path;

/// How a program is run.
#[derive(Debug, Default)]
pub struct ProgramOptions {}

/// What a program came to.
pub struct ProgramOutcome {
    /// Why it failed.
    pub error: Option<Failure>,
}

/// Says that application mode is not there yet.
pub async fn run_program(
    _: &ClusterHandle,
    _: &ProgramSpec,
    _: &Path,
    _: Configuration,
    _: ProgramOptions,
) -> ProgramOutcome {
    let text = "application mode is not supported yet by this version";
    ProgramOutcome { error: Some(Failure::new(FailureKind::Error, text)) }
}

//! Ends of a command that are told otherwise than by an error's own words.

/// The program ended before it did anything with its environment.
#[derive(Debug, thiserror::Error)]
#[error(
    "The program didn't contain a Flink job. Perhaps you forgot to call execute() on the execution environment."
)]
pub struct NoJob;

/// Something failed of which everything has been said already.
#[derive(Debug, thiserror::Error)]
#[error("ended with exit code {0}")]
pub struct AlreadyTold(pub u8);

//! What holds for a job where its program says nothing: from the configuration, or from where the program runs.

use super::StreamExecutionEnvironment;
use crate::execute::JobError;
use crate::graph::{Defaults, SHUFFLE_MODE, batch_exchange};
use crate::session::{self, session};
use kvick_core::graph::{Exchange, RuntimeMode};
use kvick_runtime::key_group::UPPER_BOUND;

/// Where a program, and where the configuration, says how many key groups operators have.
const SET_MAX_PARALLELISM: &str = "set_max_parallelism";
const MAX_PARALLELISM: &str = "pipeline.max-parallelism";

impl StreamExecutionEnvironment {
    pub(super) fn defaults(&self) -> Result<Defaults, JobError> {
        let config = self.config();
        let parallelism = self.parallelism();
        // Where a lost process takes the whole job with it, nothing is gained by keeping results.
        let embedded = matches!(session().link, session::Link::Embedded);
        let state = self.shared.state();
        let embedded = embedded || state.local;
        let batch_exchange = match config.raw(SHUFFLE_MODE) {
            Some(text) => batch_exchange(text)?,
            None if embedded => Exchange::PipelinedBounded,
            None => Exchange::Blocking,
        };
        let mode = match state.mode {
            Some(mode) => Some(mode),
            None => configured_mode(config.raw("execution.runtime-mode"))?,
        };
        let chaining = config.raw("pipeline.operator-chaining.enabled") != Some("false");
        let max_parallelism = match state.max_parallelism {
            Some(max) => Some(checked_max(SET_MAX_PARALLELISM, &max.to_string())?),
            None => configured_max(config.raw(MAX_PARALLELISM))?,
        };
        Ok(Defaults {
            parallelism,
            max_parallelism,
            mode,
            chaining: chaining && !state.chaining_disabled,
            batch_exchange,
            config: state.config.clone(),
        })
    }
}

/// `None` where it follows from the parallelism, which -1 says, as in Flink.
fn configured_max(text: Option<&str>) -> Result<Option<u32>, JobError> {
    match text.map(str::trim) {
        None | Some("-1") => Ok(None),
        Some(text) => checked_max(MAX_PARALLELISM, text).map(Some),
    }
}

/// A number of key groups that there can be; `key` is where it was set.
fn checked_max(key: &str, text: &str) -> Result<u32, JobError> {
    let max = text.parse().ok().filter(|max| (1..=UPPER_BOUND).contains(max));
    max.ok_or_else(|| JobError::BadOption {
        key: key.to_string(),
        value: text.to_string(),
        expected: "the whole numbers from 1 to 32768",
    })
}

/// `None` for `AUTOMATIC`.
fn configured_mode(text: Option<&str>) -> Result<Option<RuntimeMode>, JobError> {
    match text.map(|t| t.trim().to_ascii_uppercase()).as_deref() {
        None | Some("STREAMING") => Ok(Some(RuntimeMode::Streaming)),
        Some("BATCH") => Ok(Some(RuntimeMode::Batch)),
        Some("AUTOMATIC") => Ok(None),
        Some(other) => Err(JobError::BadOption {
            key: "execution.runtime-mode".to_string(),
            value: other.to_string(),
            expected: "STREAMING, BATCH or AUTOMATIC",
        }),
    }
}

/// `parallelism.default`; without one, an embedded job uses the machine's cores.
pub(super) fn default_parallelism(session: &session::Session, is_remote: bool) -> u32 {
    let configured = session.config.raw("parallelism.default").and_then(|text| text.trim().parse().ok());
    configured.unwrap_or_else(|| match session.link {
        session::Link::Embedded if !is_remote => {
            std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
        }
        _ => 1,
    })
}

//! What holds for a job where its program says nothing: from the configuration, or from where the program runs.

use super::StreamExecutionEnvironment;
use crate::execute::JobError;
use crate::graph::{Defaults, SHUFFLE_MODE, batch_exchange};
use crate::session::{self, session};
use kvick_core::graph::{Exchange, RuntimeMode};

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
        let max_parallelism = config.raw("pipeline.max-parallelism").and_then(|t| t.trim().parse().ok());
        Ok(Defaults {
            parallelism,
            max_parallelism: state.max_parallelism.or(max_parallelism.filter(|max| *max > 0)),
            mode,
            chaining: chaining && !state.chaining_disabled,
            batch_exchange,
            config: state.config.clone(),
        })
    }
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

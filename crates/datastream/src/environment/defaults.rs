//! What holds for a job where its program says nothing: from the configuration, or from where the program runs.

use super::StreamExecutionEnvironment;
use crate::execute::JobError;
use crate::graph::{Defaults, SHUFFLE_MODE, batch_exchange};
use crate::session::{self, session};
use kvick_core::config::{Configuration, Finding, check, check_values, options};
use kvick_core::graph::{Exchange, RuntimeMode};
use kvick_runtime::key_group::UPPER_BOUND;

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
        let chaining = config.get(&options::CHAINING)?;
        let max_parallelism = match state.max_parallelism {
            Some(max) => Some(checked_max("set_max_parallelism", max.into())?),
            None => configured_max(config.get(&options::MAX_PARALLELISM)?)?,
        };
        Ok(Defaults {
            name: config.get(&options::PIPELINE_NAME)?,
            parallelism,
            max_parallelism,
            mode,
            chaining: chaining && !state.chaining_disabled,
            batch_exchange,
            config: state.config.clone(),
        })
    }
}

impl StreamExecutionEnvironment {
    /// Refuses values that are none, and tells once what the program itself has set and does nothing. What was set elsewhere
    /// was looked at there; a worker's job has been accepted.
    ///
    /// # Errors
    /// The first option whose value is not of its type.
    pub(super) fn check_options(&self) -> Result<(), JobError> {
        let config = self.config();
        let own = self.shared.state().config.clone();
        let mut session = session();
        if matches!(session.link, session::Link::Worker { .. }) {
            return Ok(());
        }
        check_values(&config)?;
        for finding in check(&own).iter().map(Finding::to_string) {
            if session.told.insert(finding.clone()) {
                kvick_runtime::log::warn(&finding);
            }
        }
        Ok(())
    }
}

/// `None` where it follows from the parallelism, which -1 says, as in Flink.
fn configured_max(max: i32) -> Result<Option<u32>, JobError> {
    if max == -1 { Ok(None) } else { checked_max(options::MAX_PARALLELISM.key(), max.into()).map(Some) }
}

/// A number of key groups that there can be; `key` is where it was set.
fn checked_max(key: &str, max: i64) -> Result<u32, JobError> {
    let possible = u32::try_from(max).ok().filter(|max| (1..=UPPER_BOUND).contains(max));
    possible.ok_or_else(|| JobError::BadOption {
        key: key.to_string(),
        value: max.to_string(),
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
/// A value that is none is refused with the job.
pub(super) fn default_parallelism(config: &Configuration, is_remote: bool) -> u32 {
    let configured =
        config.is_set(&options::PARALLELISM).then(|| config.get(&options::PARALLELISM).unwrap_or(1));
    configured.unwrap_or_else(|| match session().link {
        session::Link::Embedded if !is_remote => {
            std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
        }
        _ => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_runtime::program::Program;

    /// The program of a source and a map, with these options set by the program itself.
    fn program(name: &str, set: &[(&str, &str)]) -> Result<Program, String> {
        let env = StreamExecutionEnvironment::get_execution_environment();
        for (key, value) in set {
            env.set_option(key, value);
        }
        env.set_parallelism(1).from_sequence(1, 3).map(|n| n).print();
        env.take_program(name).map_err(|error| error.to_string())
    }

    #[test]
    fn operators_are_not_chained_where_either_name_of_the_option_says_so() {
        let tasks = |set: &[(&str, &str)]| program("chains", set).unwrap().graph.vertices.len();
        assert_eq!(tasks(&[]), 1);
        assert_eq!(tasks(&[("pipeline.operator-chaining.enabled", "False")]), 3);
        assert_eq!(tasks(&[("pipeline.operator-chaining", "false")]), 3);
    }

    #[test]
    fn a_job_without_a_name_has_the_configured_one() {
        let name = |given: &str, set: &[(&str, &str)]| program(given, set).unwrap().graph.name;
        assert_eq!(name("", &[]), "Flink Streaming Job");
        assert_eq!(name("", &[("execution.runtime-mode", "BATCH")]), "Flink Batch Job");
        assert_eq!(name("", &[("pipeline.name", "nightly")]), "nightly");
        assert_eq!(name("given", &[("pipeline.name", "nightly")]), "given");
    }

    #[test]
    fn a_value_that_is_none_is_refused_with_its_key() {
        for (key, value) in [
            ("state.backend.type", "rocks"),
            ("pipeline.operator-chaining", "no"),
            ("execution.buffer-timeout.enabled", "maybe"),
            ("parallelism.default", "many"),
        ] {
            let refused = program("refused", &[(key, value)]).err().unwrap();
            assert!(
                refused.starts_with(&format!("Could not parse value '{value}' for key '{key}'")),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_a_program_sets_in_vain_is_told() {
        program("told", &[("pipeline.object-reus", "true"), ("rest.flamegraph.enabled", "true")]).unwrap();
        let told = session().told.clone();
        assert!(told.iter().any(|text| text.contains("did you mean 'pipeline.object-reuse'?")), "{told:?}");
        assert!(
            told.iter().any(|text| text.contains("'rest.flamegraph.enabled' is not supported")),
            "{told:?}"
        );
    }

    #[test]
    fn what_a_program_sets_as_an_option_counts_like_what_it_calls() {
        let env = StreamExecutionEnvironment::get_execution_environment();
        assert_eq!(env.set_option("parallelism.default", "3").parallelism(), 3);
        let timeout = |millis| {
            let config = env.set_buffer_timeout(millis).config();
            kvick_runtime::options::buffer_timeout_ms(&config)
        };
        assert_eq!([timeout(-1), timeout(0), timeout(250)], [-1, 0, 250]);
    }
}

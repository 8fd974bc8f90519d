//! Follows what many clients do, each through a state machine, and reports every step that is not allowed. The state of
//! each client is keyed state: after a failure or a savepoint nobody's place is forgotten, and no false alert is raised.
//!
//! Usage: `StateMachineExample [--error-rate <probability>] [--sleep <ms> | --rps <records per second>]
//! [--backend <hashmap|rocksdb>] [--checkpoint-dir <path>] [--incremental-checkpoints <true|false>] [--output <path>]
//! [--count <events>]`

use kvick::prelude::*;
use kvick::sinks::{FileSink, RollingPolicy, TextEncoder};
use kvick::sources::DataGeneratorSource;
use kvick_examples::state_machine::{Alert, Event, ROUND, State, event};
use std::time::Duration;

const USAGE: &str = "Usage with built-in data generator: StateMachineExample [--error-rate <probability-of-invalid-transition>] \
[--sleep <sleep-per-record-in-ms> | --rps <records-per-second>]
Options:
\t[--backend <hashmap|rocksdb>]
\t[--checkpoint-dir <filepath>]
\t[--incremental-checkpoints <true|false>]
\t[--output <filepath> OR null for stdout]
\t[--count <events, without end by default>]
";

/// Keeps where each client is, and emits an alert for each event that is not allowed there.
#[derive(Clone, Default)]
struct StateMachineMapper {
    current: ValueState<State>,
}

impl KeyedProcessFunction<u32, Event, Alert> for StateMachineMapper {
    fn open(&mut self, context: &mut FunctionContext<'_, u32>) -> Result<(), BoxError> {
        self.current = context.value_state(ValueStateDescriptor::new("state"))?;
        Ok(())
    }

    fn process(
        &mut self,
        event: Event,
        context: &mut KeyedContext<'_, u32>,
        out: &mut Collector<Alert>,
    ) -> Result<(), BoxError> {
        let state = self.current.value(context)?.copied().unwrap_or(State::Initial);
        match state.after(event.kind) {
            None => out.push(Alert { address: event.address, state, event: event.kind }),
            Some(State::Terminal) => self.current.clear(context)?,
            Some(next) => self.current.update(context, next)?,
        }
        Ok(())
    }
}

/// What the parameters say of checkpoints and state.
fn configure(env: &StreamExecutionEnvironment, params: &Params) -> Result<(), BoxError> {
    if env.config().raw("execution.checkpointing.interval").is_none() {
        env.set_option("execution.checkpointing.interval", "2 s");
    }
    if let Some(backend) = params.get("backend") {
        if !["hashmap", "rocksdb"].contains(&backend) {
            return Err(format!("--backend {backend}: it is hashmap or rocksdb").into());
        }
        env.set_option("state.backend.type", backend);
    }
    if let Some(directory) = params.get("checkpoint-dir") {
        env.set_option("execution.checkpointing.dir", directory);
    }
    if params.get_or("incremental-checkpoints", false)? {
        env.set_option("execution.checkpointing.incremental", "true");
    }
    Ok(())
}

fn source(
    params: &Params,
) -> Result<DataGeneratorSource<impl FnMut(u64) -> Event + Clone + Send + use<>>, BoxError> {
    let error_rate: f64 = params.get_or("error-rate", 0.0)?;
    let sleep: f64 = params.get_or("sleep", 1.0)?;
    let rate = match params.get("rps") {
        Some(_) => params.get_or("rps", 0.0)?,
        None => 1000.0 / sleep,
    };
    println!("Using standalone source with error rate {error_rate:.6} and {rate:.1} records per second\n");
    let count = params.get_or("count", u64::MAX)?;
    let source = DataGeneratorSource::new(move |n| event(n, error_rate), count).in_blocks_of(ROUND);
    Ok(if rate.is_finite() { source.rate_limited(rate) } else { source })
}

fn main() -> Result<(), BoxError> {
    println!("{USAGE}");
    let params = Params::from_args()?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    configure(&env, &params)?;

    let alerts = env
        .from_data_generator(source(&params)?)
        .name("Events Generator Source")
        .uid("events")
        .key_by(|event| event.address)
        .process(StateMachineMapper::default())
        .name("State Machine")
        .uid("state-machine")
        .map(|alert| alert.to_string());
    match params.get("output") {
        Some(path) => {
            let policy = RollingPolicy::default()
                .with_max_part_size(1 << 20)
                .with_rollover_interval(Duration::from_secs(10));
            let sink = FileSink::for_row_format(path, TextEncoder).with_rolling_policy(policy);
            alerts.sink_to_files(sink).set_parallelism(1).name("output").uid("output");
        }
        None => {
            alerts.print();
        }
    }

    env.execute("State machine job")?;
    Ok(())
}

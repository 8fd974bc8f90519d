//! Counts numbers by their last digit, from a source that knows where it is, into files that hold every count exactly once.

use kvick::prelude::*;
use kvick::sinks::{BasePathBucketAssigner, FileSink, RollingPolicy, TextEncoder};
use kvick::sources::DataGeneratorSource;

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let count: u64 = params.required("count")?.parse()?;
    let rate: f64 = params.required("rate")?.parse()?;
    let sink = FileSink::for_row_format(params.required("output")?, TextEncoder)
        .with_bucket_assigner(BasePathBucketAssigner)
        .with_rolling_policy(RollingPolicy::on_checkpoint());
    let env = StreamExecutionEnvironment::get_execution_environment();
    // A bounded source would make it a batch job, which takes no checkpoints.
    env.set_runtime_mode(RuntimeMode::Streaming);
    env.from_data_generator(DataGeneratorSource::new(|n| (n % 10, 1_u64), count).rate_limited(rate))
        .key_by(|(digit, _)| *digit)
        .sum(|(_, seen)| seen)
        .uid("count")
        .sink_to_files(sink);
    env.execute("counts")?;
    Ok(())
}

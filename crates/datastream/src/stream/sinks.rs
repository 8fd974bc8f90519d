//! Where the records of a stream end.

use super::DataStream;
use crate::execute::JobError;
use crate::graph::{NodeKind, boxed, fan_out};
use crate::sink::DataStreamSink;
use kvick_runtime::element::Data;
use kvick_runtime::sinks::{
    BucketAssigner, Encoder, FileSink, PrintSink, PrintTarget, Sink, SocketSink, TextFileSink, TwoPhase,
    TwoPhaseSink, stage,
};

impl<T: Data> DataStream<T> {
    /// Writes the records to a sink of one's own.
    #[doc(alias("addSink", "sinkTo"))]
    pub fn sink_to<S: Sink<T>>(&self, name: &str, make: impl Fn() -> S + Send + 'static) -> DataStreamSink {
        let kind = NodeKind::Sink(Box::new(move || boxed(stage::<T, S>(make()))));
        let node = self.consumer(name, kind, fan_out::<T>);
        DataStreamSink { env: self.env.clone(), node: self.env.shared.add(node) }
    }

    /// Writes the records to a sink of one's own that commits in two phases: see [`TwoPhaseSink`].
    #[doc(alias("TwoPhaseCommitSinkFunction", "TwoPhaseCommittingSink"))]
    pub fn sink_to_two_phase<S: TwoPhaseSink<T>>(
        &self,
        name: &str,
        make: impl Fn() -> S + Send + 'static,
    ) -> DataStreamSink {
        self.sink_to(name, move || TwoPhase::of(make()))
    }

    /// Writes the records into part files, exactly once where checkpoints are taken: see [`FileSink`].
    ///
    /// ```no_run
    /// # use kvick::prelude::*;
    /// use kvick::sinks::{FileSink, RollingPolicy, TextEncoder};
    ///
    /// let env = StreamExecutionEnvironment::get_execution_environment();
    /// env.set_option("execution.checkpointing.interval", "10 s");
    /// let sink = FileSink::for_row_format("hdfs:///out", TextEncoder).with_rolling_policy(RollingPolicy::on_checkpoint());
    /// env.from_sequence(1, 100).sink_to_files(sink);
    /// ```
    #[doc(alias = "StreamingFileSink")]
    pub fn sink_to_files<E: Encoder<T>, B: BucketAssigner<T>>(&self, sink: FileSink<E, B>) -> DataStreamSink {
        self.sink_to_two_phase("file-sink", move || sink.clone().writer())
    }

    /// Sends the records to a TCP server, from one subtask. After a failure records may be sent again or be lost.
    #[doc(alias = "writeToSocket")]
    pub fn write_to_socket<E: Encoder<T>>(&self, host: &str, port: u16, encoder: E) -> DataStreamSink {
        let host = host.to_string();
        let make = move || SocketSink::new(host.clone(), port, encoder.clone(), 0);
        self.sink_to("Socket Sink", make).set_parallelism(1)
    }

    /// Prints each record to standard output: on a cluster to `taskmanager.out`.
    pub fn print(&self) -> DataStreamSink {
        self.sink_to("Print to Std. Out", || PrintSink::new(PrintTarget::Out, None))
    }

    /// The same, with a name before each line.
    pub fn print_with_identifier(&self, identifier: &str) -> DataStreamSink {
        let identifier = identifier.to_string();
        self.sink_to("Print to Std. Out", move || PrintSink::new(PrintTarget::Out, Some(identifier.clone())))
    }

    /// Prints each record to standard error.
    #[doc(alias = "printToErr")]
    pub fn print_to_err(&self) -> DataStreamSink {
        self.sink_to("Print to Std. Err", || PrintSink::new(PrintTarget::Err, None))
    }

    /// Writes each record as a line into part files of a directory.
    #[doc(alias = "writeAsText")]
    pub fn write_as_text(&self, directory: impl Into<String>) -> DataStreamSink {
        let directory = directory.into();
        self.sink_to("file-sink", move || TextFileSink::new(directory.clone()))
    }

    /// Runs the job and returns the records of this stream, wherever the job ran. They travel with the job's result and must
    /// fit in memory; records of one subtask are in order.
    ///
    /// # Errors
    /// The job failed, or was submitted detached.
    #[doc(alias("executeAndCollect", "DataStreamUtils"))]
    pub fn execute_and_collect(&self, name: &str) -> Result<Vec<T>, JobError> {
        crate::execute::execute_and_collect(self, name)
    }
}

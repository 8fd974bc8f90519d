//! What a schedule came to: what happened in it, or what does not hold.

/// What does not hold, and in which schedule.
#[derive(Debug)]
pub struct Violation {
    /// The seed that shows it again.
    pub seed: u64,
    /// The simulated time in milliseconds.
    pub at: u64,
    /// What.
    pub what: String,
}

/// What a schedule that holds came to.
#[derive(Debug, Default, Clone, Copy)]
pub struct Outcome {
    /// Jobs that finished.
    pub finished: u32,
    /// Those of them for all of whose subtasks there was never room side by side.
    pub in_little_room: u32,
    /// Jobs that failed or were cancelled.
    pub ended_otherwise: u32,
    /// Faults that happened.
    pub faults: u32,
    /// Checkpoints that were completed.
    pub checkpoints: u32,
    /// Tasks that were deployed with state.
    pub restored: u32,
    /// Requests for a checkpoint or savepoint that were granted.
    pub granted: u32,
    /// Jobs that were stopped with a savepoint.
    pub stopped: u32,
    /// Files that were removed one by one, because no checkpoint referred to them any more.
    pub removed: u32,
    /// Restore points that turned out to be damaged, with an earlier one to fall back to.
    pub fallbacks: u32,
    /// Restore points that an application master could not read when it took over.
    pub unreadable: u32,
    /// Jobs that went on at another parallelism.
    pub rescaled: u32,
    /// Tasks that began with results that others had kept for them.
    pub results_read: u32,
    /// Tasks that had finished and ran again, because what they had kept was lost.
    pub results_made_again: u32,
    /// Application masters that died.
    pub takeovers: u32,
    /// Containers that YARN wanted back.
    pub wanted_back: u32,
    /// Containers that were given back before YARN took them.
    pub gone_in_time: u32,
    /// How often tasks moved away from where they had to go.
    pub moves: u32,
    /// Task executors that were cut off.
    pub cut_off: u32,
    /// Task executors that ended themselves because nobody answered.
    pub gave_up: u32,
    /// Connections that stalled.
    pub stalls: u32,
    /// Messages that arrived over a connection which a newer one had replaced.
    pub stale: u32,
    /// Messages that were lost with the connection that they were on.
    pub lost: u32,
    /// Registrations that arrived after that on a newer connection.
    pub overtaken: u32,
    /// Reports about checkpoints that were kept until there was a connection again.
    pub kept: u32,
    /// How often the store rejected writes for a while.
    pub rejections: u32,
    /// Records that were given up, for the store rejected them for too long.
    pub unrecorded: u32,
    /// Submissions that were refused for that reason.
    pub refused: u32,
    /// Ends of containers that were told twice.
    pub told_twice: u32,
    /// Nodes on which no more containers were taken.
    pub excluded: u32,
    /// Events handled.
    pub steps: usize,
}

impl std::ops::AddAssign for Outcome {
    fn add_assign(&mut self, more: Outcome) {
        self.finished += more.finished;
        self.in_little_room += more.in_little_room;
        self.ended_otherwise += more.ended_otherwise;
        self.faults += more.faults;
        self.checkpoints += more.checkpoints;
        self.restored += more.restored;
        self.granted += more.granted;
        self.stopped += more.stopped;
        self.removed += more.removed;
        self.fallbacks += more.fallbacks;
        self.unreadable += more.unreadable;
        self.rescaled += more.rescaled;
        self.results_read += more.results_read;
        self.results_made_again += more.results_made_again;
        self.takeovers += more.takeovers;
        self.wanted_back += more.wanted_back;
        self.gone_in_time += more.gone_in_time;
        self.moves += more.moves;
        self.cut_off += more.cut_off;
        self.gave_up += more.gave_up;
        self.stalls += more.stalls;
        self.stale += more.stale;
        self.lost += more.lost;
        self.overtaken += more.overtaken;
        self.kept += more.kept;
        self.rejections += more.rejections;
        self.unrecorded += more.unrecorded;
        self.refused += more.refused;
        self.told_twice += more.told_twice;
        self.excluded += more.excluded;
        self.steps += more.steps;
    }
}

//! What `flink` can be asked to do, and which options each action has.

use super::tables::{
    CANCEL, CHECKPOINT, GENERIC, Group, INFO, INFO_HIDDEN, LIST, MODIFY, OptionSpec, REMOTE, RUN, RUN_HIDDEN,
    SAVEPOINT, SESSION, STOP, YARN,
};

/// What `flink` can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `run`
    Run,
    /// `run-application`
    RunApplication,
    /// `info`
    Info,
    /// `list`
    List,
    /// `stop`
    Stop,
    /// `cancel`
    Cancel,
    /// `savepoint`
    Savepoint,
    /// `checkpoint`
    Checkpoint,
    /// `modify`
    Modify,
    /// `yarn-session` (`yarn-session.sh`)
    Session,
}

impl Action {
    /// In the order of the help.
    pub const ALL: [Action; 10] = [
        Action::Run,
        Action::RunApplication,
        Action::Info,
        Action::List,
        Action::Stop,
        Action::Cancel,
        Action::Savepoint,
        Action::Checkpoint,
        Action::Modify,
        Action::Session,
    ];

    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Action::Run => "run",
            Action::RunApplication => "run-application",
            Action::Info => "info",
            Action::List => "list",
            Action::Stop => "stop",
            Action::Cancel => "cancel",
            Action::Savepoint => "savepoint",
            Action::Checkpoint => "checkpoint",
            Action::Modify => "modify",
            Action::Session => "yarn-session",
        }
    }

    /// The action of that name.
    pub fn of_name(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Whether everything behind the first positional argument belongs to the program.
    pub fn stops_at_positional(self) -> bool {
        matches!(self, Action::Run | Action::RunApplication | Action::Info | Action::Session)
    }

    /// The groups of its options.
    pub fn groups(self) -> Vec<&'static Group> {
        let clusters = [&GENERIC, &YARN, &REMOTE];
        match self {
            Action::Run | Action::RunApplication => [&[&RUN, &RUN_HIDDEN][..], &clusters].concat(),
            Action::Info => vec![&INFO, &INFO_HIDDEN, &GENERIC, &YARN, &REMOTE],
            Action::List => [&[&LIST][..], &clusters].concat(),
            Action::Stop => [&[&STOP][..], &clusters].concat(),
            Action::Cancel => [&[&CANCEL][..], &clusters].concat(),
            Action::Savepoint => [&[&SAVEPOINT][..], &clusters].concat(),
            Action::Checkpoint => [&[&CHECKPOINT][..], &clusters].concat(),
            Action::Modify => [&[&MODIFY][..], &clusters].concat(),
            Action::Session => vec![&SESSION],
        }
    }

    /// Its options. Where two groups have the same name, the first one counts.
    pub fn options(self) -> Vec<&'static OptionSpec> {
        self.groups().into_iter().flat_map(|group| group.options).collect()
    }
}

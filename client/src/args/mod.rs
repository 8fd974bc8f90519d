//! The first stage of the command line: what was typed, as types. Pure: no file, no environment, no terminal.
//!
//! [`tables`] lists every option of every [`action`], [`parser`] applies the rules by which they are recognised, [`help`]
//! renders them, [`convert`] gives them the types of [`typed`]. What they mean together is decided in [`crate::settings`].

mod action;
mod convert;
pub mod help;
mod parser;
mod tables;
pub mod typed;

pub use action::Action;

pub use parser::UsageError;
pub use typed::{
    CancelArgs, CheckpointArgs, ClusterArgs, Invocation, ListArgs, ModifyArgs, ProgramArgs, SavepointArgs,
    SessionArgs, StopArgs,
};

/// Reads the arguments of `flink` (without the program's own name).
///
/// # Errors
/// What is wrong with them, in the words that are shown to the user.
pub fn parse_flink(args: &[String]) -> Result<Invocation, UsageError> {
    let Some(first) = args.first() else {
        return Ok(Invocation::NoAction);
    };
    match first.as_str() {
        "-h" | "--help" => Ok(Invocation::Help(None)),
        "-v" | "--version" => Ok(Invocation::Version),
        name => match Action::of_name(name) {
            Some(action) => parse_action(action, &args[1..]),
            None => Ok(Invocation::UnknownAction(name.to_string())),
        },
    }
}

/// Reads the arguments of one action.
///
/// # Errors
/// What is wrong with them.
pub fn parse_action(action: Action, args: &[String]) -> Result<Invocation, UsageError> {
    let parsed = parser::parse(&action.options(), action.stops_at_positional(), args)?;
    convert::invocation(action, &parsed)
}

#[cfg(test)]
mod tests;

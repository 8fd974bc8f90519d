//! The help, rendered from the tables of options: 80 columns, descriptions beside the options.

use super::action::Action;
use super::tables::{Group, OptionSpec, REMOTE, Takes, YARN};
use std::fmt::Write;

const WIDTH: usize = 80;
const INDENT: usize = 5;
const GAP: usize = 3;

/// The help of `flink`.
pub fn all() -> String {
    let mut text =
        String::from("./flink <ACTION> [OPTIONS] [ARGUMENTS]\n\nThe following actions are available:\n");
    for action in Action::ALL.into_iter().filter(|action| *action != Action::Session) {
        text.push('\n');
        text.push_str(&body(action));
    }
    text.push('\n');
    text
}

/// The help of one action.
pub fn of(action: Action) -> String {
    if action == Action::Session {
        let mut text = String::from("Usage:\n");
        for group in action.groups() {
            text.push_str(&rendered(&format!("   {}", group.title), group));
        }
        return text;
    }
    format!("{}\n", body(action))
}

fn body(action: Action) -> String {
    let name = action.name();
    let mut text = format!("Action \"{name}\" {}\n\n  Syntax: {name} {}\n", purpose(action), syntax(action));
    for group in action.groups().into_iter().filter(|group| is_shown(action, group)) {
        let own = group.title == "action options:";
        let title = if own { format!("\"{name}\" {}", group.title) } else { group.title.to_string() };
        text.push_str(&rendered(&format!("  {title}"), group));
        text.push('\n');
    }
    text
}

fn is_shown(action: Action, group: &Group) -> bool {
    let dialect = std::ptr::eq(group, &YARN) || std::ptr::eq(group, &REMOTE);
    !(group.title.is_empty() || action == Action::RunApplication && dialect)
}

fn purpose(action: Action) -> &'static str {
    match action {
        Action::Run => "compiles and runs a program.",
        Action::RunApplication => "runs an application in Application Mode.",
        Action::Info => "shows the optimized execution plan of the program (JSON).",
        Action::List => "lists running and scheduled programs.",
        Action::Stop => "stops a running program with a savepoint (streaming jobs only).",
        Action::Cancel => "cancels a running program.",
        Action::Savepoint => "triggers savepoints for a running job or disposes existing ones.",
        Action::Checkpoint => "triggers checkpoints for a running job.",
        Action::Modify => "modifies a running job (e.g. change of parallelism).",
        Action::Session => "starts a session on YARN, or attaches to one.",
    }
}

fn syntax(action: Action) -> &'static str {
    match action {
        Action::Run | Action::RunApplication | Action::Info => "[OPTIONS] <jar-file> <arguments>",
        Action::List | Action::Session => "[OPTIONS]",
        Action::Stop | Action::Cancel | Action::Checkpoint | Action::Modify => "[OPTIONS] <Job ID>",
        Action::Savepoint => "[OPTIONS] <Job ID> [<target directory>]",
    }
}

fn rendered(title: &str, group: &Group) -> String {
    let names: Vec<String> = group.options.iter().map(names_of).collect();
    let column = INDENT + names.iter().map(String::len).max().unwrap_or_default() + GAP;
    let mut text = format!("{title}\n");
    for (name, option) in names.iter().zip(group.options) {
        let lines = wrapped(option.doc, WIDTH.saturating_sub(column).max(20));
        for (index, line) in lines.iter().enumerate() {
            let beside = if index == 0 { name.as_str() } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:INDENT$}{beside:<width$}{line}", "", width = column - INDENT);
        }
    }
    text
}

fn names_of(option: &OptionSpec) -> String {
    let names = match (option.short, option.long) {
        ("", long) => format!("   --{long}"),
        (short, "") => format!("-{short}"),
        (short, long) if short == long => format!("-{short}"),
        (short, long) => format!("-{short},--{long}"),
    };
    match option.takes {
        Takes::Nothing => names,
        Takes::One(value) => format!("{names} <{value}>"),
        Takes::Maybe(value) => format!("{names} <{value}>"),
        Takes::Property => format!("{names} <property=value>"),
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_string());
        }
    }
    lines
}

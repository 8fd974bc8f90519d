//! Recognising options: the rules of the parser that Flink's users know (Apache commons-cli, `DefaultParser`).
//!
//! `--long value`, `--long=value`, unique prefixes of long names, long names behind a single dash, multi-letter short names,
//! `-Dkey=value`, `-D key=value`, and a short option with its value glued to it. The first positional argument, or `--`, may
//! end the options.

use super::tables::{OptionSpec, Takes};
use kvick_core::config::edit_distance;

/// What is wrong with a command line, as it is shown to the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The options that were found, in order, and the rest.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Each option with its value, where it has one.
    pub options: Vec<(&'static OptionSpec, Option<String>)>,
    /// What is no option.
    pub positional: Vec<String>,
}

impl Parsed {
    /// Whether the option was given.
    pub fn has(&self, id: &str) -> bool {
        self.options.iter().any(|(option, _)| option.id == id)
    }

    /// The value of the option; the first one where it was repeated.
    pub fn value(&self, id: &str) -> Option<&str> {
        self.values(id).next()
    }

    /// Every value of the option.
    pub fn values<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let of_id: Vec<_> = self.options.iter().filter(|(option, _)| option.id == id).collect();
        of_id.into_iter().filter_map(|(_, value)| value.as_deref())
    }
}

/// Reads a command line.
///
/// # Errors
/// An option that does not exist, is ambiguous, or lacks its value.
pub fn parse(
    options: &[&'static OptionSpec],
    stop_at_positional: bool,
    args: &[String],
) -> Result<Parsed, UsageError> {
    let mut parser = Parser { options, parsed: Parsed::default(), waiting: None };
    for (index, token) in args.iter().enumerate() {
        if parser.take_value(token) {
            continue;
        }
        if token == "--" {
            parser.parsed.positional.extend_from_slice(&args[index + 1..]);
            break;
        }
        if token.starts_with('-') && token.len() > 1 {
            parser.take_option(token)?;
        } else if stop_at_positional {
            parser.parsed.positional.extend_from_slice(&args[index..]);
            break;
        } else {
            parser.parsed.positional.push(token.clone());
        }
    }
    parser.finish()
}

struct Parser<'a> {
    options: &'a [&'static OptionSpec],
    parsed: Parsed,
    /// The option whose value may come next.
    waiting: Option<&'static OptionSpec>,
}

impl Parser<'_> {
    /// Gives the token to the option that waits for a value. A token that is itself an option is none.
    fn take_value(&mut self, token: &str) -> bool {
        let Some(option) = self.waiting else { return false };
        if self.is_option(token) {
            return false;
        }
        self.waiting = None;
        self.put(option, Some(token.to_string()));
        true
    }

    /// Whether a token would be recognised as an option, so that it cannot be a value.
    fn is_option(&self, token: &str) -> bool {
        let Some(name) = token.strip_prefix('-').filter(|name| !name.is_empty()) else { return false };
        let name = name.strip_prefix('-').unwrap_or(name);
        let name = name.split('=').next().unwrap_or_default();
        let known = self.short(name).is_some() || !self.long_matches(name).is_empty();
        known || self.glued(name).is_some() || token == "--"
    }

    fn take_option(&mut self, token: &str) -> Result<(), UsageError> {
        self.value_missing()?;
        let name = token.trim_start_matches('-');
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        if let Some(option) = self.find(token, name)? {
            return self.take_found(token, option, value);
        }
        match self.glued(name) {
            Some((option, rest)) => {
                let value = value.map_or(rest.to_string(), |value| format!("{rest}={value}"));
                self.put(option, Some(value));
                Ok(())
            }
            None => Err(self.unrecognized(token, name)),
        }
    }

    /// The option of this name: short names count behind a single dash only, long names behind one or two.
    fn find(&self, token: &str, name: &str) -> Result<Option<&'static OptionSpec>, UsageError> {
        if !token.starts_with("--")
            && let Some(option) = self.short(name)
        {
            return Ok(Some(option));
        }
        let matches = self.long_matches(name);
        match matches.as_slice() {
            [] => Ok(None),
            [option] => Ok(Some(option)),
            several => {
                let names: Vec<String> = several.iter().map(|option| format!("'{}'", option.long)).collect();
                Err(UsageError(format!("Ambiguous option: '{token}'  (could be: {})", names.join(", "))))
            }
        }
    }

    fn take_found(
        &mut self,
        token: &str,
        option: &'static OptionSpec,
        value: Option<&str>,
    ) -> Result<(), UsageError> {
        match (option.takes, value) {
            (Takes::Nothing, None) => self.put(option, None),
            (Takes::Nothing, Some(_)) => {
                return Err(UsageError(format!("The option {} takes no value.", shown(option))));
            }
            (_, Some(value)) => self.put(option, Some(value.to_string())),
            (_, None) => {
                debug_assert!(token.starts_with('-'));
                self.waiting = Some(option);
            }
        }
        Ok(())
    }

    fn put(&mut self, option: &'static OptionSpec, value: Option<String>) {
        self.parsed.options.push((option, value));
    }

    fn short(&self, name: &str) -> Option<&'static OptionSpec> {
        self.options.iter().copied().find(|option| !option.short.is_empty() && option.short == name)
    }

    /// The option whose long name this is, else those whose long name begins so.
    fn long_matches(&self, name: &str) -> Vec<&'static OptionSpec> {
        let with_long = || self.options.iter().copied().filter(|option| !option.long.is_empty());
        if let Some(exact) = with_long().find(|option| option.long == name) {
            return vec![exact];
        }
        let mut matches: Vec<&'static OptionSpec> =
            with_long().filter(|option| !name.is_empty() && option.long.starts_with(name)).collect();
        matches.dedup_by_key(|option| option.long);
        matches.sort_by_key(|option| option.long);
        matches.dedup_by_key(|option| option.long);
        matches
    }

    /// A short option with its value behind it: `-Dkey`, `-yDkey`, `-p4`. The longest such option counts; of the others
    /// than properties only single letters and values that are numbers, so that a mistyped option is not taken for one.
    fn glued<'n>(&self, name: &'n str) -> Option<(&'static OptionSpec, &'n str)> {
        let candidates = self.options.iter().copied().filter(|option| !option.short.is_empty());
        let fits = candidates.filter_map(|option| {
            let rest = name.strip_prefix(option.short).filter(|rest| !rest.is_empty())?;
            let numeric = rest.starts_with(|c: char| c.is_ascii_digit());
            let takes = match option.takes {
                Takes::Property => true,
                Takes::One(_) => numeric,
                Takes::Nothing | Takes::Maybe(_) => false,
            };
            takes.then_some((option, rest))
        });
        fits.max_by_key(|(option, _)| option.short.len())
    }

    fn unrecognized(&self, token: &str, name: &str) -> UsageError {
        let mut message = format!("Unrecognized option: {token}");
        let names = self.options.iter().flat_map(|option| [("-", option.short), ("--", option.long)]);
        let named = names.filter(|(_, known)| !known.is_empty());
        let nearest = named.map(|(dashes, known)| (edit_distance(name, known), dashes, known)).min();
        if let Some((distance, dashes, known)) = nearest
            && distance <= 1 + name.len() / 4
        {
            message.push_str(&format!("\nDid you mean {dashes}{known}?"));
        }
        UsageError(message)
    }

    /// Fails if an option still waits for a value that it must have; an optional value is taken as absent.
    fn value_missing(&mut self) -> Result<(), UsageError> {
        match self.waiting.take() {
            None => Ok(()),
            Some(option) if matches!(option.takes, Takes::Maybe(_)) => {
                self.put(option, None);
                Ok(())
            }
            Some(option) => {
                let name = if option.short.is_empty() { option.long } else { option.short };
                Err(UsageError(format!("Missing argument for option: {name}")))
            }
        }
    }

    fn finish(mut self) -> Result<Parsed, UsageError> {
        self.value_missing()?;
        Ok(self.parsed)
    }
}

fn shown(option: &OptionSpec) -> String {
    match (option.short, option.long) {
        ("", long) => format!("--{long}"),
        (short, "") => format!("-{short}"),
        (short, long) => format!("-{short},--{long}"),
    }
}

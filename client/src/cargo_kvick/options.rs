//! Options of a command: `--name value`, `--name=value`, `--flag`, and what remains.

use anyhow::{Result, bail};

/// Options that were read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    values: Vec<(String, String)>,
    flags: Vec<String>,
    /// Arguments that are no options.
    pub rest: Vec<String>,
}

impl Options {
    /// Reads options; `valued` take a value, `flags` do not.
    ///
    /// # Errors
    /// An unknown option, or one without its value.
    pub fn parse(arguments: &[String], valued: &[&str], flags: &[&str]) -> Result<Options> {
        let mut options = Options::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let Some(name) = argument.strip_prefix("--") else {
                options.rest.push(argument.clone());
                continue;
            };
            let (name, inline) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (name, None),
            };
            if flags.contains(&name) {
                options.flags.push(name.to_string());
            } else if valued.contains(&name) {
                let Some(value) = inline.or_else(|| arguments.next().cloned()) else {
                    bail!("the option --{name} needs a value");
                };
                options.values.push((name.to_string(), value));
            } else {
                bail!("unknown option --{name}; see `cargo kvick --help`");
            }
        }
        Ok(options)
    }

    /// All values of an option.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The last value of an option.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).last()
    }

    /// Whether a flag was given.
    pub fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }
}

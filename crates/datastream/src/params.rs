//! Parameters of a program as Flink's users write them: `--input x`, `-input x`, `--input=x`, `--flag`.

use std::collections::BTreeMap;
use std::str::FromStr;

/// A parameter that is missing or cannot be read. `Debug` is as readable as `Display`, because that is what a `main()` that
/// returns the error prints.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// A required parameter is missing.
    #[error("the parameter --{0} is missing")]
    Missing(String),
    /// A value that is not of the expected type.
    #[error("the parameter --{name} cannot be read from \"{value}\": {why}")]
    Bad {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// Why.
        why: String,
    },
    /// An argument that belongs to no parameter.
    #[error("cannot understand the argument \"{0}\": parameters are written --name value")]
    Stray(String),
}

impl std::fmt::Debug for ParamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Parameters by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[doc(alias("ParameterTool", "MultipleParameterTool"))]
pub struct Params(BTreeMap<String, Vec<String>>);

impl Params {
    /// The parameters of this process. An argument that belongs to none is an error.
    ///
    /// # Errors
    /// An argument that belongs to no parameter.
    #[doc(alias = "fromArgs")]
    pub fn from_args() -> Result<Params, ParamError> {
        Params::parse(std::env::args().skip(1))
    }

    /// The parameters of a list of arguments.
    ///
    /// # Errors
    /// An argument that belongs to no parameter.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Params, ParamError> {
        let mut params: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut arguments = arguments.into_iter().peekable();
        while let Some(argument) = arguments.next() {
            let Some(name) = name_of(&argument) else { return Err(ParamError::Stray(argument)) };
            let (name, inline) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (name, None),
            };
            let value = inline.or_else(|| arguments.next_if(|next| name_of(next).is_none()));
            params.entry(name.to_string()).or_default().extend(value);
        }
        Ok(Params(params))
    }

    /// Whether a parameter was given, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The last value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.last().map(String::as_str)
    }

    /// All values of a parameter that was given several times.
    pub fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn required(&self, name: &str) -> Result<&str, ParamError> {
        self.get(name).ok_or_else(|| ParamError::Missing(name.to_string()))
    }

    /// The value of a parameter as a type, or a default when it is missing.
    ///
    /// # Errors
    /// The value is not of that type.
    pub fn get_or<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
        default: T,
    ) -> Result<T, ParamError> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let bad = |why: T::Err| ParamError::Bad {
            name: name.to_string(),
            value: value.to_string(),
            why: why.to_string(),
        };
        value.parse().map_err(bad)
    }
}

/// The name in `--name` or `-name`; a negative number is a value.
fn name_of(argument: &str) -> Option<&str> {
    let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?;
    let number = argument.parse::<f64>().is_ok();
    (!name.is_empty() && !number).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Params, ParamError> {
        Params::parse(arguments.iter().map(|a| (*a).to_string()))
    }

    #[test]
    fn every_way_to_write_a_parameter_is_understood() {
        let params =
            parse(&["--input", "a", "-output", "b", "--mode=fast", "--flag", "--from", "-5"]).unwrap();
        assert_eq!(params.get("input"), Some("a"));
        assert_eq!(params.get("output"), Some("b"));
        assert_eq!(params.get("mode"), Some("fast"));
        assert!(params.has("flag") && params.get("flag").is_none());
        assert_eq!(params.get_or("from", 0), Ok(-5));
        assert_eq!(params.get_or("to", 7), Ok(7));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse(&["input"]), Err(ParamError::Stray("input".to_string())));
        let params = parse(&["--port", "many"]).unwrap();
        let error = params.get_or("port", 1_u16).unwrap_err().to_string();
        assert!(error.contains("--port") && error.contains("many"), "{error}");
        assert_eq!(params.required("host"), Err(ParamError::Missing("host".to_string())));
    }
}

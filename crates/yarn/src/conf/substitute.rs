//! Substitution of `${…}` in values (`Configuration.substituteVars`).
//! Owns the grammar of variables; where their values come from is the caller's.

/// How often a value is looked at again (`Configuration.MAX_SUBST`).
const ROUNDS: usize = 20;
/// Longest value that substitution may make, bytes: references that double each round end here.
const LONGEST: usize = 1 << 20;

/// Replaces variables, innermost first; what cannot be resolved, or refers to itself, stays as it is written.
pub(super) fn substitute(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut value = text.to_owned();
    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        let Some((start, end)) = innermost(&value, 0) else {
            return value;
        };
        let name = value[start + 2..end].to_owned();
        let Some(replacement) = resolve(&name, lookup) else {
            return value;
        };
        if replacement.contains(&format!("${{{name}}}")) || value.len() + replacement.len() > LONGEST {
            return text.to_owned();
        }
        value.replace_range(start..=end, &replacement);
        seen.push(name);
    }
    if innermost(&value, 0).is_some() { text.to_owned() } else { value }
}

/// The first `${name}` at or after `from` in whose name there is no other: its start and its closing brace.
fn innermost(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut start = None;
    let bytes = text.as_bytes();
    for at in from..bytes.len() {
        match bytes[at] {
            b'$' if bytes.get(at + 1) == Some(&b'{') => start = Some(at),
            // Java's matcher takes no name with '$', a space or nothing in it.
            b'$' | b' ' => start = None,
            b'}' => match start.take() {
                Some(open) if at > open + 2 => return Some((open, at)),
                _ => {}
            },
            _ => {}
        }
    }
    None
}

fn resolve(name: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    match name.strip_prefix("env.") {
        Some(variable) => environment(variable, &|name| std::env::var(name).ok()),
        None => lookup(name),
    }
}

/// `X`, `X-default` (when unset) or `X:-default` (when unset or empty).
fn environment(expression: &str, get: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let Some(dash) = expression.find('-') else {
        return get(expression);
    };
    let (variable, default) = (&expression[..dash], expression[dash + 1..].to_owned());
    match variable.strip_suffix(':') {
        Some(variable) => Some(get(variable).filter(|value| !value.is_empty()).unwrap_or(default)),
        None => Some(get(variable).unwrap_or(default)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(name: &str) -> Option<String> {
        let value = match name {
            "a" => "1",
            "b" => "${a}2",
            "loop" => "x${loop}",
            "ping" => "${pong}",
            "pong" => "${ping}",
            "big" => "${big2}${big2}",
            "key" => "a",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn variables_nest_and_unknown_ones_stay() {
        let done = |text: &str| substitute(text, &table);
        assert_eq!(done("x${b}y"), "x12y");
        assert_eq!(done("${${key}}"), "1");
        assert_eq!(done("${nobody}/z"), "${nobody}/z");
        assert_eq!(done("$a {a} ${}"), "$a {a} ${}");
    }

    #[test]
    fn circles_leave_the_value_as_written() {
        assert_eq!(substitute("${loop}", &table), "${loop}");
        assert_eq!(substitute("${ping}", &table), "${ping}");
    }

    #[test]
    fn environment_variables_have_defaults() {
        let get = |name: &str| match name {
            "EMPTY" => Some(String::new()),
            "SET" => Some("v".to_owned()),
            _ => None,
        };
        let done = |text: &str| environment(text, &get);
        assert_eq!(done("SET"), Some("v".into()));
        assert_eq!(done("UNSET"), None);
        assert_eq!((done("EMPTY-d"), done("EMPTY:-d")), (Some(String::new()), Some("d".into())));
        assert_eq!((done("UNSET-d"), done("UNSET:-d-e")), (Some("d".into()), Some("d-e".into())));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[${}abé -]{0,40}") {
            let _ = substitute(&text, &table);
        }
    }
}

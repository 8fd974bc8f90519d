//! The text of `flink-conf.yaml`: one `key: value` per line, nothing of YAML beyond that.
//!
//! Rules of Flink's legacy parser (`GlobalConfiguration.loadLegacyYAMLResource`): a `#` starts a comment anywhere, the line is split at
//! its first `: `, both sides are trimmed, nothing is quoted.

/// One line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlatEntry {
    /// A key with its value.
    Pair {
        /// Counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// A line that is no `key: value`; it is left out.
    Malformed {
        /// Counted from 1.
        line: usize,
        /// The line without its comment.
        text: String,
    },
}

/// Reads the lines of a flat configuration file.
pub fn parse_flat(text: &str) -> Vec<FlatEntry> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(index, line)| parse_line(index + 1, line)).collect()
}

fn parse_line(line: usize, text: &str) -> Option<FlatEntry> {
    let text = text.split('#').next().unwrap_or_default().trim();
    if text.is_empty() {
        return None;
    }
    Some(match text.split_once(": ") {
        Some((key, value)) if !key.trim().is_empty() && !value.trim().is_empty() => {
            FlatEntry::Pair { line, key: key.trim().to_string(), value: value.trim().to_string() }
        }
        _ => FlatEntry::Malformed { line, text: text.to_string() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_at_the_first_colon_and_blank() {
        let text =
            "# head\n\nrest.port: 8081 # comment\nfs.default-scheme:  hdfs://nn:9000/\nbroken line\nkey:\n";
        let pair =
            |line, key: &str, value: &str| FlatEntry::Pair { line, key: key.into(), value: value.into() };
        assert_eq!(
            parse_flat(text),
            [
                pair(3, "rest.port", "8081"),
                pair(4, "fs.default-scheme", "hdfs://nn:9000/"),
                FlatEntry::Malformed { line: 5, text: "broken line".into() },
                FlatEntry::Malformed { line: 6, text: "key:".into() },
            ]
        );
    }
}

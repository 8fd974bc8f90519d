//! Texts to count, and their lines in an order that does not depend on who wrote them first.

use std::collections::BTreeMap;

/// The lines, sorted.
pub fn sorted_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    lines.sort();
    lines
}

/// What the batch WordCount makes of a text of lower-case words, sorted: `word count`.
pub fn counted(text: &str) -> Vec<String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    text.split_whitespace().for_each(|word| *counts.entry(word).or_default() += 1);
    sorted_lines(&counts.iter().map(|(word, count)| format!("{word} {count}\n")).collect::<String>())
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_are_counted() {
        assert_eq!(super::counted("to be or\nnot to be\n"), ["be 2", "not 1", "or 1", "to 2"]);
    }
}

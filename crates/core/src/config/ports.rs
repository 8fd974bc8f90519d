//! Ports and ranges of ports: `0`, `8081`, `50100-50200`, `50100,50110-50119`.

use super::value::{ConfigValue, ValueKind};
use std::ops::RangeInclusive;

/// The ports that may be bound, in the order in which they are tried. Port 0 lets the system choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRange(Vec<RangeInclusive<u16>>);

impl PortRange {
    /// Every port, in order.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// Whether the system chooses the port.
    pub fn is_ephemeral(&self) -> bool {
        self.ports().next() == Some(0)
    }
}

impl ConfigValue for PortRange {
    const KIND: ValueKind = ValueKind::Ports;

    fn parse(text: &str) -> Option<PortRange> {
        let ranges: Option<Vec<_>> = text.split(',').map(|part| parse_part(part.trim())).collect();
        ranges.filter(|ranges| !ranges.is_empty()).map(PortRange)
    }
}

fn parse_part(part: &str) -> Option<RangeInclusive<u16>> {
    match part.split_once('-') {
        Some((from, to)) => {
            let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            (from <= to).then_some(from..=to)
        }
        None => part.parse().ok().map(|port| port..=port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_tried_in_order() {
        let ports = PortRange::parse("50103, 50100-50102").unwrap();
        assert_eq!(ports.ports().collect::<Vec<_>>(), [50103, 50100, 50101, 50102]);
        assert!(PortRange::parse("0").unwrap().is_ephemeral());
        for text in ["", "a", "2-1", "70000", "1,,2"] {
            assert_eq!(PortRange::parse(text), None, "{text}");
        }
    }
}

//! The data listener's port: `taskmanager.data.port` is `0`, a port, a list or a range.

use kvick_core::failure::{Failure, FailureKind};
use std::net::TcpListener;

/// Listens on the first free port of a specification.
pub(super) fn listen(address: &str, ports: &str) -> Result<(TcpListener, u16), Failure> {
    let fail = |message: String| Failure::new(FailureKind::Error, message);
    let mut last = None;
    for port in parse(ports).map_err(fail)? {
        match TcpListener::bind((bare(address), port)).and_then(|l| l.local_addr().map(|a| (l, a.port()))) {
            Ok(listening) => return Ok(listening),
            Err(error) => last = Some(error),
        }
    }
    let why = last.map_or_else(|| "no port was named".to_string(), |error| error.to_string());
    Err(fail(format!(
        "cannot listen for exchanges on {address}, port {ports} (taskmanager.data.port): {why}"
    )))
}

fn parse(ports: &str) -> Result<Vec<u16>, String> {
    let bad = || format!("taskmanager.data.port: \"{ports}\" is no port, list or range of ports");
    let mut all = Vec::new();
    for part in ports.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('-') {
            None => all.push(part.parse().map_err(|_| bad())?),
            Some((first, last)) => {
                let number = |text: &str| text.trim().parse::<u16>().map_err(|_| bad());
                all.extend(number(first)?..=number(last)?);
            }
        }
    }
    if all.is_empty() { Ok(vec![0]) } else { Ok(all) }
}

/// IPv6 addresses may come in brackets.
fn bare(address: &str) -> &str {
    address.trim_start_matches('[').trim_end_matches(']')
}

/// `host:port`, with brackets around an IPv6 address.
pub(super) fn address(host: &str, port: u16) -> String {
    let host = bare(host);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_a_list_and_a_range_are_understood() {
        assert_eq!(parse("0"), Ok(vec![0]));
        assert_eq!(parse("50100-50102,50200"), Ok(vec![50100, 50101, 50102, 50200]));
        assert!(parse("50100-").is_err() && parse("port").is_err() && parse("70000").is_err());
    }

    #[test]
    fn an_occupied_port_is_passed_over() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken_port = taken.local_addr().unwrap().port();
        let (_listener, port) = listen("127.0.0.1", &format!("{taken_port},0")).unwrap();
        assert_ne!(port, taken_port);
        let refused = listen("127.0.0.1", &taken_port.to_string()).unwrap_err();
        assert!(refused.message.contains("taskmanager.data.port"), "{refused}");
    }
}

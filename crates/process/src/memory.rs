//! Memory figures from `/proc` (proc(5)): of a process and of the machine.

use std::fs;

/// Resident memory of a process in bytes; `None` if there is no such process.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    kib_field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:")
}

/// Memory of the machine in bytes: all of it, and what is available.
pub fn machine() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    Some((kib_field(&text, "MemTotal:")?, kib_field(&text, "MemAvailable:")?))
}

/// The value of a line like `VmRSS:    1234 kB`, in bytes.
fn kib_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_and_this_machine_have_memory() {
        let own = super::resident_bytes(std::process::id()).unwrap();
        let (total, available) = super::machine().unwrap();
        assert!(own > 0 && own < total && available <= total);
        assert_eq!(super::resident_bytes(u32::MAX), None);
    }
}

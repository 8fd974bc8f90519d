//! Which glibc a program needs, and which one this machine has.

use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, read};
use std::fmt;
use std::str::FromStr;

/// A glibc version: major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GlibcVersion(pub u32, pub u32);

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for GlibcVersion {
    type Err = ();

    /// Reads `2.36`; what follows a second dot is of no interest.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.trim().split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(GlibcVersion(major, minor)),
            _ => Err(()),
        }
    }
}

/// The newest `GLIBC_x.y` symbol version that an ELF program asks for (the gABI's version needs, section
/// `.gnu.version_r`); `None` for a static program or anything else.
pub fn needed_glibc(program: &[u8]) -> Option<GlibcVersion> {
    version_names(program).ok()??.iter().filter_map(|name| name.strip_prefix("GLIBC_")?.parse().ok()).max()
}

fn version_names(program: &[u8]) -> read::Result<Option<Vec<String>>> {
    let header = elf::FileHeader64::<Endianness>::parse(program)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, program)?;
    // A program without version needs is a static one.
    let dynamic =
        header.program_headers(endian, program)?.iter().any(|p| p.p_type(endian) == elf::PT_DYNAMIC);
    let Some((mut needs, link)) = sections.gnu_verneed(endian, program)?.filter(|_| dynamic) else {
        return Ok(None);
    };
    let strings = sections.strings(endian, program, link)?;
    let mut names = Vec::new();
    while let Some((_, mut versions)) = needs.next()? {
        while let Some(version) = versions.next()? {
            names.push(String::from_utf8_lossy(version.name(endian, strings)?).into_owned());
        }
    }
    Ok(Some(names))
}

/// The glibc of this machine, asked with `getconf GNU_LIBC_VERSION`; `None` where that is not known.
pub fn running_glibc() -> Option<GlibcVersion> {
    let output = std::process::Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().strip_prefix("glibc ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_program_needs_no_newer_glibc_than_the_machine_that_runs_it() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needed = needed_glibc(&program).unwrap();
        assert!(needed >= GlibcVersion(2, 2) && needed <= running_glibc().unwrap(), "{needed}");
    }

    #[test]
    fn versions_compare_by_number_and_garbage_needs_nothing() {
        assert!("2.9".parse::<GlibcVersion>().unwrap() < "2.36".parse().unwrap());
        assert_eq!(needed_glibc(b"#!/bin/sh\n"), None);
        assert_eq!(needed_glibc(&[0x7f, b'E', b'L', b'F', 2, 1, 1]), None);
    }
}

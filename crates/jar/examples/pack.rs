//! Packs built programs into a jar: `pack OUT.jar ENTRY=PROGRAM...`; the first entry is the default.

use kvick_jar::{HOST_TARGET, PackEntry, PackSpec, pack};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: pack OUT.jar ENTRY=PROGRAM...")?;
    let mut spec = PackSpec::default();
    for argument in arguments {
        let (entry, program) = argument.split_once('=').ok_or("an entry is ENTRY=PROGRAM")?;
        spec.main_class.get_or_insert(entry.to_string());
        let (entry, target) = (entry.to_string(), HOST_TARGET.to_string());
        spec.entries.push(PackEntry { entry, target, program: program.into() });
    }
    Ok(pack(&spec, out.as_ref())?)
}

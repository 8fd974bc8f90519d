//! A job crate outside this workspace: made, built, packed and run as its author would.

use kvick_integration::command::{command, dist, flink, run};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a directory above").to_path_buf()
}

fn cargo_kvick(directory: &Path) -> Command {
    let mut command = Command::new(dist().join("bin/cargo-kvick"));
    command.arg("kvick").current_dir(directory);
    command
}

/// The first block of code in the README that is a whole program.
fn program_of_the_readme() -> String {
    let text = std::fs::read_to_string(root().join("README.md")).expect("no README.md");
    let block: Vec<&str> = text
        .lines()
        .skip_while(|line| *line != "    use kvick::prelude::*;")
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    assert!(block.iter().any(|line| line.starts_with("fn main()")), "no program in README.md");
    block.join("\n") + "\n"
}

#[test]
fn a_new_project_is_packed_and_runs_and_so_does_the_program_of_the_readme() {
    let dir = tempfile::tempdir().expect("no temporary directory");
    let engine = root().display().to_string();
    run(cargo_kvick(dir.path()).args(["new", "my-job", "--engine-path", &engine])).ok();
    let project = dir.path().join("my-job");
    let jar = dir.path().join("my-job.jar").display().to_string();
    run(cargo_kvick(&project).args(["jar", "--out", &jar])).ok();
    flink(["run", "-t", "local", &jar]).ok().says("(be,2)");

    // The README's reads a file of the reader's own; here it is one that exists.
    let input = dir.path().join("poem.txt");
    std::fs::write(&input, "to be or not to be\n").expect("no file");
    let path = format!("file://{}", input.display());
    let program = program_of_the_readme().replace("hdfs:///user/me/poem.txt", &path);
    std::fs::write(project.join("src/main.rs"), program).expect("no file");
    run(cargo_kvick(&project).args(["jar", "--out", &jar])).ok();
    let ran = run(command("flink").args(["run", "-m", "yarn-cluster", &jar])).ok();
    ran.says("Job Runtime: ");
}

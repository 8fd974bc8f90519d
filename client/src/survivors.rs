//! What an application has left that ended without its master having said a word: its records name the jobs that had not ended,
//! and from where a person can go on with each.

use crate::deploy::{Hadoop, resources};
use anyhow::Result;
use kvick_core::config::Configuration;
use kvick_core::ha::Contents;
use kvick_core::job::ProgramSpec;
use kvick_ha::{HaSettings, RestartFrom, Survivor, survivors};
use kvick_yarn::ids::ApplicationId;

/// What was found.
#[derive(Debug, Default)]
pub struct Left {
    /// In words for a person; empty if there is nothing to say.
    pub text: String,
    /// Whether it is in the application's staging directory, which has to stay then.
    pub needs_staging: bool,
}

/// Looks where an application of this configuration keeps its records.
pub async fn look(config: &Configuration, id: ApplicationId) -> Left {
    match find(config, id).await {
        Ok(left) => left,
        Err(error) => Left {
            text: format!("What its jobs have left could not be found out: {error:#}"),
            needs_staging: true,
        },
    }
}

async fn find(config: &Configuration, id: ApplicationId) -> Result<Left> {
    let hadoop = Hadoop::load(config)?;
    let staging = resources::staging(&hadoop, config)?.application_directory(&id.to_string())?.to_string();
    let settings = HaSettings::from_config(config, Some(&staging))?;
    let Some(directory) = settings.directory else { return Ok(Left::default()) };
    let contents = kvick_ha::open(config, Some(&staging), &hadoop.files)?.contents().await?;
    if contents == Contents::default() {
        return Ok(Left::default());
    }
    let jobs = survivors(&contents, &hadoop.files).await;
    let needs_staging = directory.starts_with(&staging);
    let place = if needs_staging { &staging } else { &directory };
    let node = settings.zookeeper.map(|zookeeper| zookeeper.root);
    Ok(Left { text: told(&jobs, place, node.as_deref()), needs_staging })
}

fn told(jobs: &[Survivor], directory: &str, node: Option<&str>) -> String {
    let mut lines: Vec<String> = jobs.iter().map(of_job).collect();
    if jobs.is_empty() {
        lines.push("All jobs that it had accepted had ended.".to_string());
    }
    let also = node.map(|node| format!(", and below {node} in ZooKeeper,")).unwrap_or_default();
    lines.push(format!(
        "Its records stay in {directory}{also} until somebody removes them: hdfs dfs -rm -r {directory}"
    ));
    lines.join("\n")
}

fn of_job(survivor: &Survivor) -> String {
    let Survivor { job, name, program, from } = survivor;
    let (what, path) = match from {
        RestartFrom::Checkpoint { id, path } => {
            (format!("Its newest completed checkpoint is {id}, in {path}."), Some(path))
        }
        RestartFrom::Source { path } => {
            (format!("It has completed no checkpoint since it was started from {path}."), Some(path))
        }
        RestartFrom::RecordsOnly => (
            "Its checkpoints have no directory of their own (execution.checkpointing.dir): it can only begin anew."
                .to_string(),
            None,
        ),
        RestartFrom::Beginning => {
            ("It has no completed checkpoint that is still there: it can only begin anew.".to_string(), None)
        }
    };
    let head = format!("The job {job} ({name}) had not ended. {what}");
    match path {
        Some(path) => format!(
            "{head}\nTo go on with it, with the options that it was started with:\n  flink run -s {} {}",
            quoted(path),
            command(program)
        ),
        None => head,
    }
}

/// The end of the command line that runs a program.
fn command(program: &ProgramSpec) -> String {
    let entry = program.entry.iter().flat_map(|entry| ["-c", entry.as_str()]);
    let all = entry.chain([program.jar.name.as_str()]).chain(program.args.iter().map(String::as_str));
    all.map(quoted).collect::<Vec<_>>().join(" ")
}

/// As a shell reads it as one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_core::ids::JobId;
    use kvick_core::job::Artifact;

    fn survivor(from: RestartFrom) -> Survivor {
        let jar = Artifact {
            name: "job.jar".into(),
            uri: "hdfs:///c/job.jar".into(),
            sha256: String::new(),
            size: 1,
        };
        let args = vec!["--input".to_string(), "a b".to_string()];
        let program = ProgramSpec { jar, entry: Some("Main".into()), args };
        Survivor { job: JobId(7), name: "counts".into(), program, from }
    }

    #[test]
    fn a_job_with_a_checkpoint_is_told_with_the_command_that_goes_on() {
        let path = "hdfs://nn:1/c/chk-12".to_string();
        let text = told(
            &[survivor(RestartFrom::Checkpoint { id: 12, path })],
            "hdfs://nn:1/ha/application_1_2",
            None,
        );
        assert!(text.contains("00000000000000000000000000000007 (counts) had not ended"), "{text}");
        assert!(
            text.contains("\n  flink run -s hdfs://nn:1/c/chk-12 -c Main job.jar --input 'a b'\n"),
            "{text}"
        );
        assert!(text.ends_with("hdfs dfs -rm -r hdfs://nn:1/ha/application_1_2"), "{text}");
    }

    #[test]
    fn a_job_without_one_is_told_without_a_command() {
        for from in [RestartFrom::RecordsOnly, RestartFrom::Beginning] {
            let text = told(&[survivor(from)], "hdfs:///d", Some("/flink/a"));
            assert!(text.contains("/flink/a in ZooKeeper"), "{text}");
            assert!(text.contains("begin anew") && !text.contains("flink run"), "{text}");
        }
        assert!(told(&[], "hdfs:///d", None).contains("had ended"));
    }
}

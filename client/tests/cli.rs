//! What `flink` and `yarn-session` print and how they end when they fail before any cluster is spoken to.

use snapbox::{assert_data_eq, str};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A place with a configuration, where nothing of the surroundings is seen.
struct Place {
    dir: TempDir,
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("conf")).expect("a conf directory");
        let place = Place { dir };
        place.write("conf/config.yaml", "rest:\n  port: 1\n");
        place
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("a file");
    }

    fn run(&self, line: &str) -> Ended {
        self.run_with(line, &[])
    }

    fn run_with(&self, line: &str, env: &[(&str, &str)]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flink"));
        command.args(line.split_whitespace()).current_dir(self.path()).env_clear();
        command.env("USER", "ada").env("TMPDIR", self.path()).env("TZ", "UTC");
        command.env("FLINK_CONF_DIR", self.path().join("conf")).envs(env.iter().copied());
        let Output { status, stdout, stderr } = command.output().expect("flink starts");
        let text = |bytes| {
            String::from_utf8(bytes).expect("UTF-8").replace(&self.path().display().to_string(), "[DIR]")
        };
        Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

/// A mistake in the command line: told on standard output, exit code 1.
fn usage(line: &str, message: &str) {
    let ended = Place::new().run(line);
    let expected = format!("{message}\n\nUse the help option (-h or --help) to get help on the command.\n");
    assert_eq!((ended.stdout, ended.stderr, ended.code), (expected, String::new(), Some(1)), "{line}");
}

#[test]
fn mistakes_in_the_command_line() {
    usage("run", "Java program should be specified a JAR file.");
    usage("run -p 0 x.jar", "The parallelism must be a positive number: 0");
    usage("run --nosuchflag x.jar", "Unrecognized option: --nosuchflag");
    usage("run --paralelism 2 x.jar", "Unrecognized option: --paralelism\nDid you mean --parallelism?");
    usage(
        "run nosuch.jar",
        "Could not get job jar and dependencies from JAR file: JAR file does not exist: nosuch.jar",
    );
    usage(
        "run conf/config.yaml",
        "Could not get job jar and dependencies from JAR file: Error while opening jar file 'conf/config.yaml'",
    );
    usage("cancel", "Missing JobID. Specify a JobID to cancel a job.");
    usage("savepoint", "Missing JobID. Specify a Job ID to trigger a savepoint.");
    usage("checkpoint", "Missing JobID. Specify a Job ID to manipulate a checkpoint.");
    usage("stop", "Missing JobId");
    usage("yarn-session -jmm 1024", "Unrecognized option: -jmm\nDid you mean -jm?");
    usage(
        "cancel zzz",
        "Cannot parse JobID from \"zzz\". The expected format is [0-9a-fA-F]{32}, e.g. fd72014d4c864993a2e5a9287b4a9c5d.",
    );
}

#[test]
fn an_unknown_action() {
    let ended = Place::new().run("frobnicate");
    assert_data_eq!(
        ended.stdout,
        str![[r#"
"frobnicate" is not a valid action.

Valid actions are "run", "run-application", "list", "info", "savepoint", "stop", or "cancel".

Specify the version option (-v or --version) to print Flink version.

Specify the help option (-h or --help) to get help on the command.

"#]]
    );
    assert_eq!(ended.code, Some(1));
}

#[test]
fn no_action_and_help_and_version() {
    let place = Place::new();
    let nothing = place.run("");
    assert!(nothing.stdout.starts_with("./flink <ACTION> [OPTIONS] [ARGUMENTS]\n"));
    assert!(nothing.stdout.ends_with("Please specify an action.\n"));
    assert_eq!(nothing.code, Some(1));
    assert_eq!(place.run("run -h").code, Some(0));
    let version = place.run("--version");
    assert!(version.stdout.starts_with("Version: "), "{}", version.stdout);
    assert_eq!(version.code, Some(0));
}

#[test]
fn a_configuration_directory_that_is_not_there_is_fatal() {
    let ended = Place::new().run_with("list", &[("FLINK_CONF_DIR", "/nonexistent")]);
    assert_data_eq!(
        ended.stderr,
        str![[r#"

------------------------------------------------------------
 The program finished with the following exception:

The configuration directory '/nonexistent', specified in the 'FLINK_CONF_DIR' environment variable, does not exist.

"#]]
    );
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(31), ""));
}

#[test]
fn a_value_that_is_none_is_named_with_its_key() {
    let ended = Place::new().run("list -Dparallelism.default=many");
    assert_data_eq!(
        ended.stderr,
        str![[r#"

------------------------------------------------------------
 The program finished with the following exception:

Could not parse value 'many' for key 'parallelism.default': expected a whole number that is not negative.

"#]]
    );
    assert_eq!(ended.code, Some(1));
}

#[test]
fn a_state_backend_that_there_is_not_is_refused_before_anything_is_deployed() {
    let place = Place::new();
    place.write("conf/config.yaml", "state.backend: com.example.MyStateBackendFactory\n");
    let ended = place.run("yarn-session -d");
    assert_data_eq!(
        ended.stderr,
        str![[r#"

------------------------------------------------------------
 The program finished with the following exception:

Could not parse value 'com.example.MyStateBackendFactory' for key 'state.backend': expected hashmap or rocksdb (or the name of Flink's factory of either; state backends of one's own cannot be loaded).

"#]]
    );
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
}

#[test]
fn a_mistyped_key_and_an_option_without_effect_are_told() {
    let ended = Place::new().run("list -m 127.0.0.1:1 -Dtaskmanager.numberOfTaskSlot=2 -Denv.java.opts.all=-Xss2m -Drest.retry.max-attempts=0");
    assert_data_eq!(
        ended.stdout,
        str![[r#"
[..] WARN  org.apache.flink.configuration.GlobalConfiguration           [] - The option 'env.java.opts.all' has no meaning in a native process and is ignored.
[..] WARN  org.apache.flink.configuration.GlobalConfiguration           [] - The configuration key 'taskmanager.numberOfTaskSlot' is not known; did you mean 'taskmanager.numberOfTaskSlots'?
Waiting for response...

"#]]
    );
}

#[test]
fn a_cluster_that_does_not_answer() {
    let ended = Place::new().run("list -Drest.retry.max-attempts=0 -Drest.address=127.0.0.1");
    assert_data_eq!(
        ended.stderr,
        str![[r#"

------------------------------------------------------------
 The program finished with the following exception:

Failed to retrieve job list.
Caused by: Connection refused: 127.0.0.1:1

"#]]
    );
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "Waiting for response...\n"));
}

#[test]
fn no_cluster_is_named() {
    let ended = Place::new().run("list -t yarn-session");
    assert!(ended.stderr.contains("No cluster id was specified."), "{}", ended.stderr);
    assert_eq!(ended.code, Some(1));
}

#[test]
fn what_this_version_cannot_do_is_told() {
    let place = Place::new();
    place.write(
        "conf/config.yaml",
        "jobmanager.scheduler: adaptive\nexecution.checkpointing.mode: EXACTLY_ONCE\n",
    );
    let ended = place.run("list -m 127.0.0.1:1 -Drest.retry.max-attempts=0");
    assert_data_eq!(
        ended.stdout,
        str![[r#"
[..] WARN  org.apache.flink.configuration.GlobalConfiguration           [] - The option 'jobmanager.scheduler' is not supported by this version yet and is ignored.
Waiting for response...

"#]]
    );
}

#[test]
fn no_hadoop_configuration() {
    let ended = Place::new().run("yarn-session -d");
    assert_data_eq!(
        ended.stderr,
        str![[r#"

------------------------------------------------------------
 The program finished with the following exception:

Couldn't deploy Yarn session cluster
Caused by: no Hadoop configuration: set HADOOP_CONF_DIR (or YARN_CONF_DIR) to the directory of core-site.xml and yarn-site.xml

"#]]
    );
    assert_eq!(ended.code, Some(1));
}

#[test]
fn sizes_that_contradict_each_other_are_told_before_anything_else() {
    let line = "yarn-session -d -tm 300 -Dtaskmanager.memory.jvm-metaspace.size=256m";
    let ended = Place::new().run(line);
    assert!(
        ended.stderr.contains("Caused by: TaskManager memory configuration failed: Sum of configured JVM Metaspace (256.000mb (268435456 bytes)) and JVM Overhead (192.000mb (201326592 bytes)) exceed configured Total Process Memory (300.000mb (314572800 bytes))."),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_broken_properties_file_stops_every_command_that_looks_at_it() {
    let place = Place::new();
    place.write(".yarn-properties-ada", "x=y\n");
    let ended = place.run("list");
    assert_data_eq!(
        ended.stderr,
        str![[r#"

------------------------------------------------------------
 The program finished with the following exception:

Yarn properties file found but doesn't contain a Yarn application id. Please delete the file at [DIR]/.yarn-properties-ada

"#]]
    );
    assert_eq!(ended.code, Some(1));
    let elsewhere = place.run("list -m 127.0.0.1:1 -Drest.retry.max-attempts=0");
    assert!(elsewhere.stderr.contains("Connection refused"), "{}", elsewhere.stderr);
}

#[test]
fn a_target_that_does_not_exist_or_does_not_fit() {
    let place = Place::new();
    let unknown = place.run("run -t nosuch x.jar");
    assert!(
        unknown.stderr.contains("No ExecutorFactory found to execute the application"),
        "{}",
        unknown.stderr
    );
    let unfit = place.run("run-application -t yarn-per-job x.jar");
    assert!(
        unfit.stderr.contains("Expected deployment.target=yarn-application but actual one was yarn-per-job"),
        "{}",
        unfit.stderr
    );
}

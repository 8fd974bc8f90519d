//! From options and positional arguments to the types of each action: values are checked here, against nothing but themselves.

use super::action::Action;
use super::parser::{Parsed, UsageError};
use super::typed::{
    CancelArgs, CheckpointArgs, ClusterArgs, Invocation, ListArgs, ModifyArgs, ProgramArgs, SavepointAction,
    SavepointArgs, SavepointFormat, SessionArgs, StopArgs,
};
use kvick_core::config::MemorySize;
use kvick_core::ids::JobId;

/// Gives the options of an action their types.
///
/// # Errors
/// A value that is not of its type, or something that is missing.
pub fn invocation(action: Action, parsed: &Parsed) -> Result<Invocation, UsageError> {
    if parsed.has("help") {
        return Ok(Invocation::Help(Some(action)));
    }
    Ok(match action {
        Action::Run => Invocation::Run(program(action, parsed)?),
        Action::RunApplication => Invocation::RunApplication(program(action, parsed)?),
        Action::Info => Invocation::Info(program(action, parsed)?),
        Action::List => Invocation::List(list(action, parsed)?),
        Action::Stop => Invocation::Stop(stop(action, parsed)?),
        Action::Cancel => Invocation::Cancel(cancel(action, parsed)?),
        Action::Savepoint => Invocation::Savepoint(savepoint(action, parsed)?),
        Action::Checkpoint => Invocation::Checkpoint(checkpoint(action, parsed)?),
        Action::Modify => Invocation::Modify(modify(action, parsed)?),
        Action::Session => Invocation::Session(SessionArgs { cluster: cluster(action, parsed)? }),
    })
}

fn usage(message: impl Into<String>) -> UsageError {
    UsageError(message.into())
}

fn owned(value: Option<&str>) -> Option<String> {
    value.map(str::to_string)
}

fn cluster(action: Action, parsed: &Parsed) -> Result<ClusterArgs, UsageError> {
    check_containers(parsed)?;
    Ok(ClusterArgs {
        target: owned(parsed.value("target")),
        jobmanager: owned(parsed.value("jobmanager")),
        application_id: owned(parsed.value("applicationId")),
        namespace: owned(parsed.value("namespace")),
        dynamic: parsed.values("dynamic").map(property).collect(),
        job_manager_memory: memory(parsed, "jobManagerMemory")?,
        task_manager_memory: memory(parsed, "taskManagerMemory")?,
        slots: positive(parsed, "slots", "The number of slots")?,
        queue: owned(parsed.value("queue")),
        name: owned(parsed.value("name")),
        application_type: owned(parsed.value("type-of-application")),
        node_label: owned(parsed.value("nodeLabel")),
        ship: parsed.values("ship").map(str::to_string).collect(),
        detached: parsed.has("yarn-detached")
            || (parsed.has("detached") && action != Action::Stop && action != Action::Savepoint),
        query: parsed.has("query"),
        yarn_options: parsed.options.iter().any(|(option, _)| is_yarn_option(option.short)),
        warnings: warnings(parsed),
    })
}

fn is_yarn_option(short: &str) -> bool {
    short.len() > 1 && short.starts_with('y') && short != "yd"
}

/// `key=value`; a key alone is a switch.
fn property(text: &str) -> (String, String) {
    match text.split_once('=') {
        Some((key, value)) => (key.to_string(), value.to_string()),
        None => (text.to_string(), "true".to_string()),
    }
}

/// A size whose bare number is mebibytes.
fn memory(parsed: &Parsed, id: &str) -> Result<Option<MemorySize>, UsageError> {
    let Some(text) = parsed.value(id) else { return Ok(None) };
    let size = MemorySize::parse_with(text, 1 << 20).filter(|size| size.0 > 0);
    size.map(Some).ok_or_else(|| {
        usage(format!("Could not parse the memory size '{text}' of --{id}: expected a number of megabytes, or a size such as 1024m or 2g."))
    })
}

fn positive(parsed: &Parsed, id: &str, what: &str) -> Result<Option<u32>, UsageError> {
    let Some(text) = parsed.value(id) else { return Ok(None) };
    match text.trim().parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(usage(format!("{what} must be a positive number: {text}"))),
    }
}

/// The number of containers has had no effect since Flink 1.5, but must be a number.
fn check_containers(parsed: &Parsed) -> Result<(), UsageError> {
    positive(parsed, "containers", "The number of containers").map(|_| ())
}

fn warnings(parsed: &Parsed) -> Vec<String> {
    let mut warnings = Vec::new();
    for (option, _) in parsed.options.iter().filter(|(option, _)| option.without_meaning) {
        let name = if option.short.is_empty() { option.long } else { option.short };
        let warning = format!("The option -{name} has no meaning for a native program and is ignored.");
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    if parsed.has("containers") {
        warnings.push(
            "The argument n is deprecated and will be ignored: containers are taken as jobs need them."
                .to_string(),
        );
    }
    if parsed.has("restoreMode") {
        warnings.push("The option 'restoreMode' is deprecated. Please use 'claimMode' instead.".to_string());
    }
    if claim_mode(parsed).is_ok_and(|mode| mode == Some("LEGACY")) {
        warnings.push(
            "The claim mode 'legacy' is deprecated: nobody owns the files of the savepoint. Please use 'claim' or 'no_claim' instead."
                .to_string(),
        );
    }
    warnings
}

fn program(action: Action, parsed: &Parsed) -> Result<ProgramArgs, UsageError> {
    if parsed.has("python") {
        return Err(usage(
            "Python programs are not supported: a job is a native program packed as a jar (see `cargo kvick jar`).",
        ));
    }
    let mut positional = parsed.positional.iter().cloned();
    let jar = owned(parsed.value("jarfile")).or_else(|| positional.next());
    let jar = jar.ok_or_else(|| usage("Java program should be specified a JAR file."))?;
    let mut args: Vec<String> = parsed.values("arguments").map(str::to_string).collect();
    args.extend(positional);
    Ok(ProgramArgs {
        cluster: cluster(action, parsed)?,
        jar,
        entry: owned(parsed.value("class")),
        args,
        parallelism: positive(parsed, "parallelism", "The parallelism")?,
        shutdown_on_exit: parsed.has("shutdownOnAttachedExit"),
        savepoint: owned(parsed.value("fromSavepoint")),
        allow_non_restored: parsed.has("allowNonRestoredState"),
        claim_mode: claim_mode(parsed)?,
    })
}

fn claim_mode(parsed: &Parsed) -> Result<Option<&'static str>, UsageError> {
    let Some(text) = parsed.value("claimMode").or_else(|| parsed.value("restoreMode")) else {
        return Ok(None);
    };
    match text.to_ascii_uppercase().replace('-', "_").as_str() {
        "CLAIM" => Ok(Some("CLAIM")),
        "NO_CLAIM" => Ok(Some("NO_CLAIM")),
        "LEGACY" => Ok(Some("LEGACY")),
        _ => Err(usage(format!("The claim mode must be claim, no_claim or legacy, not {text}."))),
    }
}

fn list(action: Action, parsed: &Parsed) -> Result<ListArgs, UsageError> {
    let (all, running, scheduled) = (parsed.has("all"), parsed.has("running"), parsed.has("scheduled"));
    let neither = !running && !scheduled;
    Ok(ListArgs {
        cluster: cluster(action, parsed)?,
        running: all || running || neither,
        scheduled: all || scheduled || neither,
        all,
    })
}

fn job_id(text: &str) -> Result<JobId, UsageError> {
    text.parse().map_err(|_| {
        usage(format!(
            "Cannot parse JobID from \"{text}\". The expected format is [0-9a-fA-F]{{32}}, e.g. fd72014d4c864993a2e5a9287b4a9c5d."
        ))
    })
}

fn first_job(parsed: &Parsed, missing: &str) -> Result<JobId, UsageError> {
    let text = parsed.positional.first().ok_or_else(|| usage(missing))?;
    job_id(text)
}

fn format(parsed: &Parsed) -> Result<SavepointFormat, UsageError> {
    match parsed.value("type").map(str::to_ascii_lowercase).as_deref() {
        None | Some("canonical") => Ok(SavepointFormat::Canonical),
        Some("native") => Ok(SavepointFormat::Native),
        Some(other) => Err(usage(format!("The savepoint format must be canonical or native, not {other}."))),
    }
}

/// `-p` without a directory may have taken the job id as its value.
fn stop(action: Action, parsed: &Parsed) -> Result<StopArgs, UsageError> {
    let mut directory = owned(parsed.value("savepointPath"));
    let job = match parsed.positional.first() {
        Some(text) => job_id(text)?,
        None => job_id(&directory.take().ok_or_else(|| usage("Missing JobId"))?)?,
    };
    let drain = parsed.has("drain");
    let (detached, format) = (parsed.has("detached"), format(parsed)?);
    Ok(StopArgs { cluster: cluster(action, parsed)?, job, directory, drain, format, detached })
}

/// As for `stop`: `cancel -s <job id>` has no directory.
fn cancel(action: Action, parsed: &Parsed) -> Result<CancelArgs, UsageError> {
    let mut directory = owned(parsed.value("withSavepoint"));
    let missing = "Missing JobID. Specify a JobID to cancel a job.";
    let job = match parsed.positional.first() {
        Some(text) => job_id(text)?,
        None => job_id(&directory.take().ok_or_else(|| usage(missing))?)?,
    };
    let savepoint = parsed.has("withSavepoint").then_some(directory);
    Ok(CancelArgs { cluster: cluster(action, parsed)?, job, savepoint, format: format(parsed)? })
}

fn savepoint(action: Action, parsed: &Parsed) -> Result<SavepointArgs, UsageError> {
    let what = match parsed.value("dispose") {
        Some(path) => SavepointAction::Dispose(path.to_string()),
        None => {
            let job = first_job(parsed, "Missing JobID. Specify a Job ID to trigger a savepoint.")?;
            SavepointAction::Take(job, parsed.positional.get(1).cloned())
        }
    };
    Ok(SavepointArgs {
        cluster: cluster(action, parsed)?,
        what,
        format: format(parsed)?,
        detached: parsed.has("detached"),
        too_many: parsed.positional.len() > 2,
    })
}

fn checkpoint(action: Action, parsed: &Parsed) -> Result<CheckpointArgs, UsageError> {
    let job = first_job(parsed, "Missing JobID. Specify a Job ID to manipulate a checkpoint.")?;
    Ok(CheckpointArgs { cluster: cluster(action, parsed)?, job, full: parsed.has("full") })
}

fn modify(action: Action, parsed: &Parsed) -> Result<ModifyArgs, UsageError> {
    let job = first_job(parsed, "Missing JobId")?;
    let parallelism = positive(parsed, "parallelism", "The parallelism")?;
    let parallelism =
        parallelism.ok_or_else(|| usage("Missing the new parallelism: -p <newParallelism>."))?;
    Ok(ModifyArgs { cluster: cluster(action, parsed)?, job, parallelism })
}

//! Jobs on a cluster whose REST API this program speaks to itself: `create_remote_environment`.

use super::rest::{Body, Rest};
use super::{not_answered, rest::RestError};
use crate::execute::JobError;
use kvick_core::config::Configuration;
use kvick_core::host::{JobAnswer, JobQuestion};
use kvick_core::ids::JobId;
use kvick_core::job::{Artifact, JobResult, JobSubmission, ProgramSpec};
use kvick_runtime::program::Program;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the cluster holds back the answer to a question for the result, in milliseconds.
const LONG_POLL: u64 = 10_000;

/// Between two looks at a savepoint that is being taken.
const LOOK: Duration = Duration::from_millis(100);

/// The longest that a savepoint may take; the cluster gives it up much earlier unless it is told otherwise.
const SAVEPOINT: Duration = Duration::from_secs(3600);

/// A cluster, and the jar that holds this program.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    rest: Rest,
    jar: PathBuf,
}

/// What the cluster must know beside program and configuration to run one `execute()` of this program.
pub(crate) struct Place {
    /// Which `execute()`.
    pub ordinal: u32,
    /// What `once` recorded.
    pub once: BTreeMap<String, String>,
    /// How those before it ended.
    pub earlier: Vec<JobResult>,
}

impl Target {
    pub(crate) fn new(host: &str, port: u16, jar: PathBuf) -> Target {
        Target { rest: Rest { address: format!("{host}:{port}") }, jar }
    }

    /// Uploads the jar and submits the job.
    ///
    /// # Errors
    /// The jar cannot be read, or the cluster does not take jar or job.
    pub(crate) fn submit(
        &self,
        job_id: JobId,
        program: Program,
        config: Configuration,
        place: Place,
    ) -> Result<Remote, JobError> {
        let (jar, entry) = self.upload()?;
        let submission = JobSubmission {
            job_id,
            ordinal: place.ordinal,
            program: ProgramSpec { jar, entry, args: std::env::args().skip(1).collect() },
            graph: program.graph,
            config,
            once: place.once,
            earlier: place.earlier,
        };
        let body =
            serde_json::to_value(&submission).map_err(|error| JobError::Rejected(error.to_string()))?;
        self.rest.call("POST", "jobs", &Body::Json(&body))?;
        Ok(Remote { rest: self.rest.clone() })
    }

    /// Gives the jar to the cluster, which finds it by what is returned; and the entry point in it that is named as this
    /// program is, if there is one.
    fn upload(&self) -> Result<(Artifact, Option<String>), JobError> {
        let failed = |source| JobError::Jar { path: self.jar.display().to_string(), source };
        let bytes = std::fs::read(&self.jar).map_err(failed)?;
        let name = self.jar.file_name().map_or_else(|| "job.jar".into(), |name| name.to_string_lossy());
        let stored = self.rest.call("POST", "jars/upload", &Body::File { name: &name, bytes: &bytes })?;
        let id = stored["filename"].as_str().and_then(|path| path.rsplit('/').next());
        let id = id.ok_or_else(|| self.foreign("POST /jars/upload", "it names no file"))?;
        // The cluster computes the rest itself.
        let (name, uri) = (name.to_string(), format!("jar://{id}"));
        Ok((Artifact { name, uri, sha256: String::new(), size: 0 }, self.entry_of(id)?))
    }

    fn entry_of(&self, id: &str) -> Result<Option<String>, JobError> {
        let jars = self.rest.call("GET", "jars", &Body::Nothing)?;
        let of_jar = jars["files"].as_array().and_then(|all| all.iter().find(|jar| jar["id"] == id));
        let entries = of_jar.and_then(|jar| jar["entry"].as_array()).into_iter().flatten();
        let program = std::env::current_exe().ok();
        let own = program.as_deref().and_then(|path| path.file_name()?.to_str());
        Ok(entries
            .filter_map(|entry| entry["name"].as_str())
            .find(|name| Some(*name) == own)
            .map(str::to_string))
    }

    fn foreign(&self, what: &str, why: &str) -> JobError {
        self.rest.foreign(what, why).into()
    }
}

/// A job on a remote cluster.
pub(crate) struct Remote {
    rest: Rest,
}

impl Remote {
    pub(super) fn cancel(&self, job_id: JobId) -> Result<(), JobError> {
        self.rest.call("PATCH", &format!("jobs/{job_id}?mode=cancel"), &Body::Nothing)?;
        Ok(())
    }

    pub(super) fn ask(&self, job_id: JobId, question: JobQuestion) -> Result<JobAnswer, JobError> {
        let job = format!("jobs/{job_id}");
        match &question {
            JobQuestion::State => Ok(JobAnswer::State(self.get(&format!("{job}/status"), "/status")?)),
            JobQuestion::Accumulators => {
                let path = format!("{job}/accumulators?includeSerializedValue=true");
                Ok(JobAnswer::Accumulators(self.get(&path, "/serialized-user-task-accumulators")?))
            }
            JobQuestion::Result => Ok(JobAnswer::Result(self.result(job_id)?)),
            JobQuestion::Savepoint { target } => {
                let body = json!({ "target-directory": target, "cancel-job": false });
                self.savepoint(job_id, "savepoints", &body, &question)
            }
            JobQuestion::Stop { target, drain } => {
                let body = json!({ "targetDirectory": target, "drain": drain });
                self.savepoint(job_id, "stop", &body, &question)
            }
        }
    }

    /// A part of the answer to a `GET`.
    fn get<T: DeserializeOwned>(&self, path: &str, pointer: &str) -> Result<T, JobError> {
        let answer = self.rest.call("GET", path, &Body::Nothing)?;
        let part = answer.pointer(pointer).cloned().unwrap_or(Value::Null);
        let read = serde_json::from_value(part);
        Ok(read.map_err(|error| self.rest.foreign(&format!("GET {path}"), &error.to_string()))?)
    }

    fn result(&self, job_id: JobId) -> Result<Option<JobResult>, JobError> {
        let path = format!("jobs/{job_id}/execution-result?wait={LONG_POLL}");
        let answer = self.rest.call("GET", &path, &Body::Nothing)?;
        if answer["status"]["id"] != "COMPLETED" {
            return Ok(None);
        }
        let result = serde_json::from_value(answer["job-execution-result"]["result"].clone());
        Ok(Some(result.map_err(|error| self.rest.foreign(&format!("GET {path}"), &error.to_string()))?))
    }

    fn savepoint(
        &self,
        job_id: JobId,
        kind: &str,
        body: &Value,
        question: &JobQuestion,
    ) -> Result<JobAnswer, JobError> {
        let begun = self.rest.call("POST", &format!("jobs/{job_id}/{kind}"), &Body::Json(body))?;
        let path = format!("jobs/{job_id}/savepoints/{}", begun["request-id"].as_str().unwrap_or_default());
        let deadline = Instant::now() + SAVEPOINT;
        while Instant::now() < deadline {
            let answer = self.rest.call("GET", &path, &Body::Nothing)?;
            if answer["status"]["id"] == "COMPLETED" {
                return outcome(&answer["operation"]).map_err(|why| not_answered(job_id, question, why));
            }
            std::thread::sleep(LOOK);
        }
        Err(not_answered(job_id, question, format!("there was none after {} s", SAVEPOINT.as_secs())))
    }
}

fn outcome(operation: &Value) -> Result<JobAnswer, String> {
    let failure = &operation["failure-cause"]["stack-trace"];
    match (operation["location"].as_str(), failure.as_str()) {
        (_, Some(failure)) => Err(failure.trim().to_string()),
        (Some(location), None) => Ok(JobAnswer::Savepoint(location.to_string())),
        (None, None) => Err("the cluster does not say where it is".to_string()),
    }
}

impl From<RestError> for JobError {
    fn from(error: RestError) -> JobError {
        JobError::Remote(Box::new(error))
    }
}

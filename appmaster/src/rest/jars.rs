//! Jars by hand: upload, list, show the plan of, run, remove.

use super::error::RestError;
use super::jar_store::{JarStore, StoredJar};
use super::job_detail::plan_of;
use super::state::Rest;
use super::{Answer, base_url, body_error, json_body};
use crate::program::{ProgramOptions, plan_program, random_job_id, run_program};
use axum::Json;
use axum::body::Bytes;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use kvick_core::config::{Configuration, Finding, check, check_values, options};
use kvick_core::ids::JobId;
use kvick_core::job::ProgramSpec;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// `POST /jars/upload`: one multipart field `jarfile`.
pub async fn upload(State(rest): State<Rest>, mut parts: Multipart) -> Answer {
    while let Some(field) = parts.next_field().await.map_err(multipart_error)? {
        let Some(name) = field.file_name().map(str::to_string) else { continue };
        // Some clients send a whole path.
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        if !name.ends_with(".jar") {
            return Err(RestError::bad_request("Only Jar files are allowed."));
        }
        let uploaded = receive(&rest.jars, field).await?;
        let kept = rest.jars.take(uploaded, name).await?;
        return Ok(Json(json!({ "filename": kept, "status": "success" })));
    }
    Err(RestError::bad_request("Exactly 1 file must be sent, received 0."))
}

/// Writes a field into a temporary file, as it comes.
async fn receive(jars: &JarStore, mut field: Field<'_>) -> Result<tempfile::TempPath, RestError> {
    let failed = |e: std::io::Error| RestError::internal(format!("cannot write the uploaded jar: {e}"));
    let dir = jars.dir()?;
    let mut file = tempfile::Builder::new().prefix(".upload-").tempfile_in(dir).map_err(failed)?;
    while let Some(chunk) = field.chunk().await.map_err(multipart_error)? {
        file.write_all(&chunk).map_err(failed)?;
    }
    Ok(file.into_temp_path())
}

fn multipart_error(error: MultipartError) -> RestError {
    body_error(error.status(), error.body_text())
}

/// `GET /jars`.
pub async fn list(State(rest): State<Rest>, headers: HeaderMap) -> Answer {
    let files: Vec<Value> = rest.jars.list().await?.iter().map(shape).collect();
    Ok(Json(json!({ "address": base_url(&headers), "files": files })))
}

fn shape(jar: &StoredJar) -> Value {
    let main = jar.manifest.main_class.clone();
    let others = jar.manifest.entry_names().into_iter().filter(|name| Some(name) != main.as_ref());
    let entries: Vec<Value> =
        main.iter().cloned().chain(others).map(|name| json!({ "name": name, "description": null })).collect();
    json!({ "id": jar.id, "name": jar.name(), "uploaded": jar.uploaded, "entry": entries })
}

/// `DELETE /jars/:jarid`.
pub async fn remove(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    rest.jars.remove(&id)?;
    Ok(Json(json!({})))
}

/// How a jar is to be run: the body of a request, or its query.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Run {
    entry_class: Option<String>,
    program_args: Option<String>,
    program_args_list: Option<Vec<String>>,
    parallelism: Option<u32>,
    job_id: Option<JobId>,
    savepoint_path: Option<String>,
    allow_non_restored_state: Option<bool>,
    claim_mode: Option<String>,
    /// The older name of the claim mode.
    restore_mode: Option<String>,
    flink_configuration: Option<BTreeMap<String, String>>,
}

/// The query of such a request: parameters by name.
type Parameters = Query<BTreeMap<String, String>>;

impl Run {
    /// What stands in the body, else in the query.
    fn read(body: Result<Bytes, BytesRejection>, query: &BTreeMap<String, String>) -> Result<Run, RestError> {
        let empty = matches!(&body, Ok(body) if body.is_empty());
        let mut run: Run = if empty { Run::default() } else { json_body(body)? };
        let parameter = |name: &str| query.get(name).filter(|value| !value.is_empty()).cloned();
        run.entry_class = run.entry_class.or_else(|| parameter("entry-class"));
        run.program_args = run.program_args.or_else(|| parameter("program-args"));
        let list = || parameter("programArg").map(|args| args.split(',').map(str::to_string).collect());
        run.program_args_list = run.program_args_list.or_else(list);
        run.savepoint_path = run.savepoint_path.or_else(|| parameter("savepointPath"));
        run.claim_mode =
            run.claim_mode.or_else(|| parameter("claimMode")).or_else(|| parameter("restoreMode"));
        if let (None, Some(text)) = (run.allow_non_restored_state, parameter("allowNonRestoredState")) {
            let parsed = text.parse();
            let parsed = parsed.map_err(|_| RestError::query_parameter("allowNonRestoredState", &text))?;
            run.allow_non_restored_state = Some(parsed);
        }
        if let (None, Some(text)) = (run.parallelism, parameter("parallelism")) {
            let parsed = text.parse().map_err(|_| RestError::query_parameter("parallelism", &text))?;
            run.parallelism = Some(parsed);
        }
        run.check()
    }

    fn check(self) -> Result<Run, RestError> {
        if self.parallelism == Some(0) {
            return Err(RestError::bad_request("The parallelism must be a positive number: 0"));
        }
        check_values(&self.own_config()).map_err(|error| RestError::bad_request(error.to_string()))?;
        Ok(self)
    }

    fn args(&self) -> Vec<String> {
        let list = self.program_args_list.clone().filter(|args| !args.is_empty());
        list.unwrap_or_else(|| tokenize(self.program_args.as_deref().unwrap_or_default()))
    }

    /// From where the job is to start, as the configuration says it.
    fn restore(&self, config: &mut Configuration) {
        if let Some(path) = self.savepoint_path.as_ref().filter(|path| !path.is_empty()) {
            config.set_option(&options::RESTORE_PATH, path);
        }
        if let Some(allow) = self.allow_non_restored_state {
            config.set_option(&options::RESTORE_IGNORE, allow.to_string());
        }
        if let Some(mode) = self.claim_mode.as_ref().or(self.restore_mode.as_ref()) {
            config.set_option(&options::RESTORE_CLAIM, mode);
        }
    }

    /// What the request itself configures.
    fn own_config(&self) -> Configuration {
        Configuration(self.flink_configuration.clone().unwrap_or_default())
    }

    /// What is odd about it: nobody but the log can be told.
    fn oddities(&self) -> Vec<String> {
        check(&self.own_config()).iter().map(Finding::to_string).collect()
    }

    /// The cluster's configuration with the request's over it.
    fn config(&self, cluster: &Configuration) -> Configuration {
        let mut config = cluster.clone();
        config.overlay(&self.own_config());
        self.restore(&mut config);
        if let Some(parallelism) = self.parallelism {
            config.set_option(&options::PARALLELISM, parallelism.to_string());
        }
        config
    }
}

/// Splits arguments at blanks; what stands in single or double quotes stays together.
fn tokenize(text: &str) -> Vec<String> {
    let (mut args, mut current, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                current.get_or_insert_default();
            }
            None if c.is_whitespace() => args.extend(current.take()),
            _ => current.get_or_insert_default().push(c),
        }
    }
    args.extend(current);
    args
}

/// `GET|POST /jars/:jarid/plan`: runs `main()` up to its first `execute()` and shows the graph.
pub async fn plan(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    Query(query): Parameters,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let run = Run::read(body, &query)?;
    let path = rest.jars.find(&id)?;
    let program =
        ProgramSpec { jar: rest.jars.artifact(&id).await?, entry: run.entry_class.clone(), args: run.args() };
    let config = run.config(&rest.cluster.settings.config);
    let options = ProgramOptions { dir: Some(rest.jars.programs()), ..ProgramOptions::default() };
    let graph = plan_program(&program, &path, config, options).await?;
    Ok(Json(json!({ "plan": plan_of(run.job_id.unwrap_or_else(random_job_id), &graph) })))
}

/// `POST /jars/:jarid/run`: answers with the first job as soon as it is accepted; `main()` goes on here.
pub async fn run(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    Query(query): Parameters,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let run = Run::read(body, &query)?;
    run.oddities().iter().for_each(|oddity| warn!("{oddity}"));
    let path = rest.jars.find(&id)?;
    let program =
        ProgramSpec { jar: rest.jars.publish(&id).await?, entry: run.entry_class.clone(), args: run.args() };
    let config = run.config(&rest.cluster.settings.config);
    let (submitted, mut jobs) = mpsc::unbounded_channel();
    let options = ProgramOptions {
        dir: Some(rest.jars.programs()),
        job_id: run.job_id,
        submitted: Some(submitted),
        ..ProgramOptions::default()
    };
    let cluster = rest.cluster.clone();
    let running = tokio::spawn(async move {
        let outcome = run_program(&cluster, &program, &path, config, options).await;
        match &outcome.error {
            Some(failure) => error!("the program {} failed: {failure}", program.jar.name),
            None => info!("the program {} ended well after {} jobs", program.jar.name, outcome.jobs.len()),
        }
        outcome.error
    });
    match jobs.recv().await {
        Some(job) => Ok(Json(json!({ "jobid": job }))),
        // The program is over and no job of it was accepted.
        None => match running.await {
            Ok(Some(failure)) => Err(failure.into()),
            _ => Err(RestError::internal("the program ended without a job and without a reason")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split_at_blanks_outside_quotes() {
        assert_eq!(tokenize("--input  a 'b c' --x=\"d 'e'\" \"\""), ["--input", "a", "b c", "--x=d 'e'", ""]);
        assert!(tokenize("  ").is_empty());
    }

    #[test]
    fn a_value_that_is_none_is_refused_and_what_does_nothing_is_told() {
        let read = |config: &str| {
            Run::read(Ok(Bytes::from(format!(r#"{{"flinkConfiguration":{config}}}"#))), &BTreeMap::new())
        };
        let refused = read(r#"{"state.backend.type":"rocks"}"#).unwrap_err();
        assert!(format!("{refused:?}").contains("expected hashmap or rocksdb"), "{refused:?}");
        let odd = read(r#"{"pipeline.object-reus":"true","pipeline.name":"n"}"#).unwrap().oddities();
        let told = "The configuration key 'pipeline.object-reus' is not known; did you mean 'pipeline.object-reuse'?";
        assert_eq!(odd, [told]);
    }

    #[test]
    fn the_body_is_stronger_than_the_query() {
        let query = BTreeMap::from([
            ("entry-class".to_string(), "Q".to_string()),
            ("parallelism".to_string(), "3".to_string()),
        ]);
        let run = Run::read(Ok(Bytes::from(r#"{"entryClass":"B","unknown":1}"#)), &query).unwrap();
        assert_eq!((run.entry_class.as_deref(), run.parallelism), (Some("B"), Some(3)));
        let body = r#"{"savepointPath":"/x","allowNonRestoredState":true,"restoreMode":"CLAIM"}"#;
        let config = Run::read(Ok(Bytes::from(body)), &query).unwrap().config(&Configuration::default());
        assert_eq!(config.get(&options::RESTORE_PATH).unwrap().as_deref(), Some("/x"));
        assert!(config.get(&options::RESTORE_IGNORE).unwrap());
        assert_eq!(config.get(&options::RESTORE_CLAIM).unwrap(), "CLAIM");
    }
}

//! What a program asks about a job of its own that it does not wait for.

use super::Accepted;
use crate::rest::RestError;
use kvick_core::config::{Configuration, options};
use kvick_core::host::{JobAnswer, JobQuestion};
use serde_json::{Value, json};
use std::time::Duration;

/// How long an answer is waited for that says that the job has ended.
const RESULT_PATIENCE: Duration = Duration::from_secs(1);

/// The answer, or why there is none.
pub async fn answer(
    job: &Accepted,
    question: JobQuestion,
    config: &Configuration,
) -> Result<JobAnswer, String> {
    let (master, id) = (&job.master, job.job_id);
    let answered = match question {
        JobQuestion::State => {
            master.ask(|rest| async move { rest.state(id).await }).await.map(JobAnswer::State)
        }
        JobQuestion::Accumulators => {
            master.ask(|rest| async move { rest.accumulators(id).await }).await.map(JobAnswer::Accumulators)
        }
        JobQuestion::Result => {
            let result = master.ask(|rest| async move { rest.result(id, RESULT_PATIENCE).await });
            result.await.map(JobAnswer::Result)
        }
        JobQuestion::Savepoint { target } => {
            let body = json!({ "target-directory": target, "cancel-job": false });
            return savepoint(job, "savepoints", &body, config).await;
        }
        JobQuestion::Stop { target, drain } => {
            let body = json!({ "targetDirectory": target, "drain": drain });
            return savepoint(job, "stop", &body, config).await;
        }
    };
    told(job, answered).await
}

async fn savepoint(
    job: &Accepted,
    kind: &str,
    body: &Value,
    config: &Configuration,
) -> Result<JobAnswer, String> {
    let timeout = config.get(&options::CLIENT_TIMEOUT).map_err(|error| error.to_string())?;
    let done = job.master.operate(&format!("jobs/{}/{kind}", job.job_id), body, timeout).await;
    told(job, done.map(|done| JobAnswer::Savepoint(done.location.unwrap_or_default()))).await
}

/// In words for the program; those of an application that is gone are YARN's.
async fn told(job: &Accepted, answered: Result<JobAnswer, RestError>) -> Result<JobAnswer, String> {
    match answered {
        Ok(answer) => Ok(answer),
        Err(error) if error.is_gone() => Err(format!("{:#}", job.explained(error).await)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::testing::{Master, Yarn, client, nobody, report};
    use kvick_core::ids::JobId;
    use kvick_core::job::JobState;
    use kvick_yarn::records::{ApplicationReport, ApplicationState};

    #[tokio::test]
    async fn a_program_is_answered_by_the_next_master_and_told_when_there_is_none() {
        let next = Master::begin(|_| Some((200, "{\"status\":\"RUNNING\"}"))).await;
        let old = nobody().await;
        let yarn = Yarn::names(&next.address);
        let job = Accepted { job_id: JobId(7), master: client(&old, &yarn), watch: None };
        let config = Configuration::default();
        let answered = answer(&job, JobQuestion::State, &config).await;
        assert_eq!(answered, Ok(JobAnswer::State(JobState::Running)));

        let address = next.address.clone();
        next.kill().await;
        yarn.says(ApplicationReport { state: ApplicationState::Killed, ..report(&address) });
        let answered = answer(&job, JobQuestion::State, &config).await;
        assert!(answered.as_ref().is_err_and(|why| why.starts_with("Lost the cluster")), "{answered:?}");
    }
}

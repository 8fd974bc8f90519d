//! Errors as the REST API tells them: `{"errors":["…"]}` with a status code.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kvick_core::failure::Failure;
use kvick_core::master::SubmitError;
use kvick_storage::StorageError;
use serde_json::json;

/// A request that is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct RestError {
    /// The HTTP status.
    pub status: StatusCode,
    /// What was wrong, where, and what to do.
    pub message: String,
}

impl RestError {
    /// An error of that status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> RestError {
        RestError { status, message: message.into() }
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(message: impl Into<String>) -> RestError {
        RestError::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404: there is no such thing.
    pub fn not_found(message: impl Into<String>) -> RestError {
        RestError::new(StatusCode::NOT_FOUND, message)
    }

    /// 500: it should have worked.
    pub fn internal(message: impl Into<String>) -> RestError {
        RestError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 501: known to Flink's users, not built here yet.
    pub fn unsupported(what: &str) -> RestError {
        RestError::new(StatusCode::NOT_IMPLEMENTED, format!("not supported yet by this version: {what}"))
    }

    /// 503: the application is ending or does not answer.
    pub fn unavailable(message: impl Into<String>) -> RestError {
        RestError::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 400 for a part of the path that is not what it should be.
    pub fn path_parameter(name: &str, value: &str) -> RestError {
        RestError::parameter("path", name, value)
    }

    /// 400 for a query parameter that is not what it should be.
    pub fn query_parameter(name: &str, value: &str) -> RestError {
        RestError::parameter("query", name, value)
    }

    fn parameter(place: &str, name: &str, value: &str) -> RestError {
        RestError::bad_request(format!(
            "Bad request, could not parse parameters: Cannot resolve {place} parameter ({name}) from value \"{value}\"."
        ))
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "errors": [self.message] }))).into_response()
    }
}

impl From<SubmitError> for RestError {
    fn from(error: SubmitError) -> RestError {
        let status = match error {
            SubmitError::Duplicate(_) => StatusCode::CONFLICT,
            SubmitError::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            SubmitError::Graph(_)
            | SubmitError::TooManySlots { .. }
            | SubmitError::Config(_)
            | SubmitError::Restore(_) => StatusCode::BAD_REQUEST,
        };
        RestError::new(status, error.to_string())
    }
}

impl From<StorageError> for RestError {
    /// What was named is not there, or no checkpoint of ours; else a file system that does not do its work.
    fn from(error: StorageError) -> RestError {
        let status = match error {
            StorageError::NotFound { .. }
            | StorageError::NoMetadata { .. }
            | StorageError::Metadata { .. }
            | StorageError::Config(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        RestError::new(status, error.to_string())
    }
}

impl From<Failure> for RestError {
    /// A program of the user's that failed: the request was fine, what it named was not.
    fn from(failure: Failure) -> RestError {
        RestError::bad_request(failure.to_string())
    }
}

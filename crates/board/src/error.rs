//! Owns what a client reads when something does not work: one shape for all of it, with a word for programs and a
//! sentence for people.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use turno_core::ids::InvalidId;
use turno_engine::store;
use utoipa::ToSchema;

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The request itself is not understood.
    #[error("{0}")]
    BadRequest(String),
    /// Nobody has shown who asks.
    #[error(
        "this needs the board's token: open the link that `turno board --link` prints, or send `Authorization: Bearer` \
         with what `turno board --token` prints"
    )]
    Unauthorized,
    /// It comes from where no request may come from.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// There is such a route, and it is asked in another way.
    #[error("this route is not asked with that method")]
    WrongMethod,
    /// It makes no sense as things are.
    #[error("{0}")]
    Refused(String),
    /// Something that is needed is not there.
    #[error("{0}")]
    Unavailable(String),
    /// Turno's own fault.
    #[error("{0}")]
    Bug(String),
}

/// The body of every answer that is an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// What went wrong.
    error: ProblemWords,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemWords {
    /// One word, for programs.
    code: &'static str,
    /// One sentence or two, for people.
    message: String,
}

impl Problem {
    /// What is not there.
    pub fn no_such(what: &str, id: impl std::fmt::Display) -> Self {
        Self::NotFound(format!("there is no {what} {id}"))
    }

    pub(crate) fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong_method"),
            Self::Refused(_) => (StatusCode::CONFLICT, "refused"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Bug(_) => (StatusCode::INTERNAL_SERVER_ERROR, "bug"),
        }
    }

    /// The same with another word for programs.
    pub(crate) fn coded(&self, code: &'static str) -> Response {
        let body = ProblemBody {
            error: ProblemWords {
                code,
                message: self.to_string(),
            },
        };
        (self.status().0, Json(body)).into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.coded(self.status().1)
    }
}

impl From<InvalidId> for Problem {
    fn from(error: InvalidId) -> Self {
        Self::BadRequest(error.to_string())
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

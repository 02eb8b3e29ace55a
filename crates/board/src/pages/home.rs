//! Owns the board as a page, what of it is asked for, and how a browser is let in.

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use cookie::{Cookie, SameSite};
use serde::Deserialize;

use super::{Shown, Told, trouble};
use crate::api::Asked;
use crate::api::board::now_of;
use crate::auth::SESSION_AGE;
use crate::error::Problem;
use crate::fence::CookieName;
use crate::routes::Shared;
use crate::view::board::{BoardView, CardView};

/// What of the board is asked for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Sought {
    /// Words that a card must have, each of them: of its title, its labels, its repository, who works on it.
    #[serde(default)]
    q: String,
}

/// The board.
pub(crate) async fn home(State(app): State<Shared>, Asked(Sought { q }): Asked<Sought>) -> Shown {
    let mut board = now_of(&app);
    let words = seek(&mut board, &q);
    Ok(Told::with(&board)
        .and("q", &q)
        .and("filtered", &!words.is_empty())
        .page("board.html")?)
}

/// Keeps the cards that have all words; gives the words.
fn seek(board: &mut BoardView, asked: &str) -> Vec<String> {
    let words: Vec<String> = asked.split_whitespace().map(str::to_lowercase).collect();
    for column in &mut board.columns {
        column.cards.retain(|card| {
            let text = text_of(card);
            words.iter().all(|word| text.contains(word))
        });
    }
    words
}

fn text_of(card: &CardView) -> String {
    let mut text = format!(
        "{} {} {} {}",
        card.id,
        card.title,
        card.repo,
        card.labels.join(" ")
    );
    for run in &card.running {
        for name in [
            run.persona.as_ref().map(ToString::to_string),
            run.agent.as_ref().map(ToString::to_string),
        ]
        .into_iter()
        .flatten()
        {
            text.push(' ');
            text.push_str(&name);
        }
    }
    text.push(' ');
    text.push_str(card.waiting.as_deref().unwrap_or_default());
    text.to_lowercase()
}

#[derive(Debug, Deserialize)]
pub(crate) struct Code {
    code: String,
}

/// Lets a browser in by a link. The page that follows is asked for by this one, so that a browser which came from
/// somewhere else sends the new cookie with it.
pub(crate) async fn enter(
    State(app): State<Shared>,
    method: Method,
    headers: HeaderMap,
    Asked(Code { code }): Asked<Code>,
) -> Response {
    // Who only looks whether there is something, as a program that shows links beforehand does, does not use it up.
    if method != Method::GET {
        return Problem::WrongMethod.into_response();
    }
    let Some(CookieName(name)) = app.names.cookie(&headers) else {
        let why = "a link is good at the address that it names and no other; open it as it was printed";
        return trouble(Problem::Forbidden(why), &headers);
    };
    let Some(session) = app.gate.enter(&code) else {
        let why = "this link was used or is too old; `turno board --link` prints a new one";
        return trouble(Problem::Forbidden(why), &headers);
    };
    let age = i64::try_from(SESSION_AGE.as_secs()).unwrap_or(i64::MAX);
    let cookie = Cookie::build((name.to_owned(), session))
        .http_only(true)
        .same_site(SameSite::Strict)
        .path("/")
        .max_age(cookie::time::Duration::seconds(age))
        .build();
    match Told::bare().page("enter.html") {
        Ok(html) => ([(SET_COOKIE, cookie.to_string())], html).into_response(),
        Err(problem) => problem.into_response(),
    }
}

//! Owns one question to a forge's API through its program, which brings the login and knows the way there: the words
//! of the call, and what the answer says. It must not know which forge that is, and must not take an answer of another
//! shape for one that fits, whatever the exit code is: some of these programs end well when they were refused.

use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Error, Means, finish, tail};
use crate::process::{End, Input};

/// All that means something in an address, or to these programs: `:branch` and `{branch}` would become another word.
const MEANS_SOMETHING: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// A word as one part of an address.
pub(super) fn part(word: &str) -> String {
    utf8_percent_encode(word, MEANS_SOMETHING).to_string()
}

/// What is wanted of a path.
pub(super) enum Ask {
    Get,
    Post(Value),
    Patch(Value),
    Put(Value),
}

impl Ask {
    fn method(&self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post(_) => "POST",
            Self::Patch(_) => "PATCH",
            Self::Put(_) => "PUT",
        }
    }
}

/// What came of it.
pub(super) enum Answer<T> {
    /// What was asked for.
    Fits(T),
    /// The program ended well and gave something else.
    Other(Error),
}

impl<T> Answer<T> {
    pub(super) fn fitting(self) -> Result<T, Error> {
        match self {
            Self::Fits(answer) => Ok(answer),
            Self::Other(error) => Err(error),
        }
    }
}

/// A forge's API, as its program reaches it.
pub(super) struct Api<'a> {
    pub(super) program: &'a Path,
    /// The host; absent: the one that the program finds in the checkout.
    pub(super) host: Option<String>,
    pub(super) means: &'a Means<'a>,
}

impl Api<'_> {
    pub(super) async fn ask<T: DeserializeOwned>(&self, path: &str, ask: Ask) -> Result<Answer<T>, Error> {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy();
        let plain = path.split('?').next().unwrap_or_default();
        let what = format!("{name} api {} {plain}", ask.method());
        let mut args = vec!["api", path, "--method", ask.method()];
        if let Some(host) = &self.host {
            args.extend(["--hostname", host]);
        }
        let input = match ask {
            Ask::Get => Input::Nothing,
            Ask::Post(body) | Ask::Patch(body) | Ask::Put(body) => {
                args.extend(["--header", "Content-Type: application/json", "--input", "-"]);
                Input::Bytes(body.to_string().into_bytes())
            }
        };
        let finished = finish(self.program.into(), &args, input, self.means).await?;
        let said = String::from_utf8_lossy(&finished.stdout);
        let mut words = words(&said, &String::from_utf8_lossy(&finished.stderr));
        if words.contains("HTTP 401") {
            let host = self
                .host
                .as_ref()
                .map_or_else(String::new, |h| format!(" --hostname {h}"));
            words = format!(
                "{words}. The login is refused: `{name} auth login{host}` makes another, and a token in the \
                 environment goes before it"
            );
        }
        let code = match finished.end {
            End::Exited(0) => {
                return Ok(match serde_json::from_str(&said) {
                    Ok(answer) => Answer::Fits(answer),
                    Err(_) => Answer::Other(Error::NoUrl { what, words }),
                });
            }
            End::Exited(code) => format!("exit code {code}"),
            End::Signalled(signal) => format!("signal {signal}"),
        };
        Err(Error::Failed { what, code, words })
    }
}

/// Why, as the program and the forge say it: the one often knows no more than a number.
fn words(said: &str, err: &str) -> String {
    let mut reasons = Vec::new();
    match serde_json::from_str(said) {
        Ok(answer) => collect(&answer, &mut reasons),
        Err(_) => reasons.push(said.trim().to_owned()),
    }
    let err = tail(err);
    reasons.retain(|reason| !reason.is_empty() && !err.contains(reason.as_str()));
    if !err.is_empty() {
        reasons.insert(0, err);
    }
    tail(&reasons.join("; "))
}

/// The reasons in an answer that refuses.
fn collect(answer: &Value, reasons: &mut Vec<String>) {
    match answer {
        Value::String(text) => reasons.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|one| collect(one, reasons)),
        Value::Object(fields) => {
            let told = ["message", "errors", "error", "error_description"];
            let told = told.iter().filter_map(|name| fields.get(*name));
            told.for_each(|one| collect(one, reasons));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_reason_and_once() {
        let said = r#"{"message":"Validation Failed","errors":[{"code":"custom","message":"No commits between main and x"}],"status":"422"}"#;
        assert_eq!(
            words(said, "gh: Validation Failed (HTTP 422)\n"),
            "gh: Validation Failed (HTTP 422); No commits between main and x"
        );
        assert_eq!(words("all is well\n", ""), "all is well");
        assert_eq!(
            words(r#"{"message":["already there: !3"]}"#, ""),
            "already there: !3"
        );
    }

    #[test]
    fn no_word_becomes_another_on_the_way() {
        assert_eq!(
            part("a:branch/{owner}?x=#1"),
            "a%3Abranch%2F%7Bowner%7D%3Fx%3D%231"
        );
        assert_eq!(part("turno-1.x_y"), "turno-1.x_y");
    }
}

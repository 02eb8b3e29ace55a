//! Owns policy files: reads them as the core's typed policies. What a policy does is the core's.

use std::collections::BTreeMap;

use turno_core::failure::Cause;
use turno_core::ids::PolicyName;
use turno_core::policy::{Policy, ReviewRule, TryRow, UncheckedRule};
use turno_core::units::Span;

use crate::config::error::{Error, Meant, Place};
use crate::config::file::{Usd, Whole};
use crate::config::layer::Layers;
use crate::config::schema::POLICY;
use crate::config::source::{Layer, TextFile};

/// The policy that lends others what they leave out.
const PATTERN: &str = "feature-dev";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    description: String,
    review: ReviewRule,
    unchecked: UncheckedRule,
    check_reruns: Whole,
    silence: Span,
    least_start_usd: Usd,
    longest_wait: Span,
    rows: BTreeMap<String, RowFile>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RowFile {
    tries: Whole,
    wait: Span,
}

/// Reads policies. Files of one name are laid over each other, and under each lies the embedded `feature-dev`, so
/// a file need only say what is different.
pub(super) fn read(files: &[TextFile]) -> Result<BTreeMap<PolicyName, Policy>, Error> {
    let mut names: Vec<&str> = files.iter().map(TextFile::stem).collect();
    names.sort_unstable();
    names.dedup();
    let mut policies = BTreeMap::new();
    for stem in names {
        let own = || files.iter().filter(|f| f.stem() == stem);
        let place = |line| Place {
            file: own().next_back().map(|f| f.name.clone()).unwrap_or_default(),
            line,
        };
        if stem == "prices" {
            return Err(Error::File {
                place: place(0),
                why: "`prices` cannot be a policy; prices are written in turno.toml, as [prices.\"MODEL\"]"
                    .to_owned(),
            });
        }
        let name: PolicyName = stem.parse().map_err(|e| Error::File {
            place: place(0),
            why: format!("the file's name is the policy's name, and {e}"),
        })?;
        let mut layers = Layers::new(POLICY);
        let pattern = files
            .iter()
            .filter(|f| f.stem() == PATTERN && f.layer == Layer::Embedded);
        for file in pattern.filter(|_| stem != PATTERN).chain(own()) {
            layers.add_file(file)?;
        }
        let policy = policy(name.clone(), &layers)?;
        policies.insert(name, policy);
    }
    Ok(policies)
}

fn policy(name: PolicyName, layers: &Layers) -> Result<Policy, Error> {
    let file: PolicyFile = layers.typed()?;
    let small = |n: Whole, path: &[&str]| {
        u8::try_from(n.0).map_err(|_| layers.wrong(path, "at most 255 is possible"))
    };
    let mut rows = BTreeMap::new();
    for (cause, row) in &file.rows {
        let path = ["rows", cause.as_str()];
        let known = Cause::ALL
            .into_iter()
            .find(|c| cause_name(*c) == *cause)
            .ok_or_else(|| {
                let meant = Meant::among(cause, Cause::ALL.map(cause_name));
                layers.wrong(&path, format!("`{cause}` is not a cause; {meant}"))
            })?;
        let tries = small(row.tries, &["rows", cause, "tries"])?;
        rows.insert(
            known,
            TryRow {
                tries,
                wait: row.wait,
            },
        );
    }
    if file.silence == Span(0) {
        return Err(layers.wrong(&["silence"], "an agent needs some time; set it to 15m"));
    }
    Ok(Policy {
        name,
        description: file.description,
        review: file.review,
        unchecked: file.unchecked,
        check_reruns: small(file.check_reruns, &["check_reruns"])?,
        silence: file.silence,
        least_start: file.least_start_usd.0,
        longest_wait: file.longest_wait,
        rows,
    })
}

/// A cause's name in files: the one it has on disk and on the wire.
pub fn cause_name(cause: Cause) -> String {
    match serde_json::to_value(cause) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => format!("{cause:?}"),
    }
}

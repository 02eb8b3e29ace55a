//! `turno report`: what a shift came to, told from the journal alone, in one of four forms. The fold is the core's;
//! here it is put into words once, and each form shows the same words in its own way.

mod html;
mod markdown;
mod numbers;
mod page;
mod short;
mod text;
mod words;

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use turno_core::ids::ShiftId;
use turno_core::report::{Fold, Report};

use crate::args;
use crate::args::ReportFormat;
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) use short::show as short;
use words::Setting;

/// Lines of text are so wide where no terminal says how wide it is.
const WIDTH: usize = 100;

/// The report as data: what the core folds, with what only the command line knows.
#[derive(Debug, Serialize)]
struct Told<'a> {
    project: &'a str,
    state_dir: &'a str,
    #[serde(flatten)]
    report: &'a Report,
}

pub(crate) async fn run(scene: &Scene, verb: &args::Report) -> Result<ExitCode, Failure> {
    let (shift, told) = told(scene, verb.shift, verb.format, width(verb)).await?;
    match &verb.output {
        Some(file) => {
            write(file, &told)?;
            print::note(&format!("the report of {shift} is in {}", print::name(file)));
        }
        None => print::data(told.trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The report of a shift, the latest if none is named, in a form.
pub(super) async fn told(
    scene: &Scene,
    shift: Option<ShiftId>,
    format: ReportFormat,
    width: usize,
) -> Result<(ShiftId, String), Failure> {
    let mut door = Door::open(scene).await?;
    let latest = door.state().await?.shifts.keys().next_back().copied();
    let Some(latest) = latest else {
        return Err(Failure::usage(
            "no shift has run here yet, so there is nothing to report; `turno run ISSUE` starts one",
        ));
    };
    let shift = shift.unwrap_or(latest);
    let mut fold = Fold::new(shift);
    door.each_record(|record| fold.take(record)).await?;
    drop(door);
    let report = fold.finish().ok_or_else(|| {
        Failure::usage(format!(
            "there is no shift {shift} here; the latest one is {latest}"
        ))
    })?;
    Ok((shift, tell(&report, &setting(scene), format, width)?))
}

/// The report as one HTML file.
pub(super) fn page_of(scene: &Scene, report: &Report) -> Result<String, Failure> {
    tell(report, &setting(scene), ReportFormat::Html, WIDTH)
}

fn setting(scene: &Scene) -> Setting {
    let name = scene.repo.root().file_name().unwrap_or_default();
    Setting {
        project: name.to_string_lossy().into_owned(),
        state_dir: scene.dirs.root().display().to_string(),
    }
}

/// How wide lines of text may be. Below 72 characters no table of numbers fits, and the terminal breaks its lines.
fn width(verb: &args::Report) -> usize {
    let seen = print::data_width().filter(|_| verb.output.is_none());
    seen.unwrap_or(WIDTH).clamp(72, 160)
}

/// The report in a form.
fn tell(report: &Report, setting: &Setting, format: ReportFormat, width: usize) -> Result<String, Failure> {
    Ok(match format {
        ReportFormat::Json => print::json_line(&Told {
            project: &setting.project,
            state_dir: &setting.state_dir,
            report,
        })?,
        ReportFormat::Text => text::text(&words::page(report, setting), width),
        ReportFormat::Markdown => markdown::markdown(&words::page(report, setting)),
        ReportFormat::Html => html::html(&words::page(report, setting))
            .map_err(|e| Failure::bug(format!("the page cannot be made: {e}")))?,
    })
}

/// Writes it to a file, without colours: another one beside it first, so that a reader never sees half of it.
fn write(file: &Path, told: &str) -> Result<(), Failure> {
    let plain = anstream::adapter::strip_str(told).to_string();
    let failed = |e: std::io::Error| {
        Failure::cannot_start(format!(
            "the report cannot be written to {}: {e}",
            print::name(file)
        ))
    };
    let beside = match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        Some(_) | None => Path::new("."),
    };
    let mut made = tempfile::Builder::new()
        .prefix(".turno-report-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(beside)
        .map_err(failed)?;
    let text = plain.trim_end();
    std::io::Write::write_all(&mut made, text.as_bytes()).map_err(failed)?;
    std::io::Write::write_all(&mut made, b"\n").map_err(failed)?;
    made.persist(file).map_err(|e| failed(e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests;

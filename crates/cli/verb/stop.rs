//! `turno stop`: asks the live coordinator to end its shift.

use std::process::ExitCode;

use turno_core::admit::Refused;
use turno_core::event::{Event, StopHow};

use crate::args::Stop;
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: &Stop) -> Result<ExitCode, Failure> {
    let how = if verb.drain { StopHow::Drain } else { StopHow::Now };
    let mut door = Door::open(scene).await?;
    if let Door::Own { .. } = door {
        // Without a coordinator nothing runs, whatever the state says: the next `run` clears it up.
        return Err(Refused::NoShift.into());
    }
    door.take(Event::StopAsked { how }).await?;
    print::note(match how {
        StopHow::Drain => "asked: nothing new is started, what runs may finish",
        StopHow::Now => "asked: what runs is stopped and its work kept",
    });
    Ok(ExitCode::SUCCESS)
}

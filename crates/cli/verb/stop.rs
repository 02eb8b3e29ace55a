//! `turno stop`: asks the live coordinator to end its shift.

use std::process::ExitCode;

use turno_core::admit::Refused;
use turno_core::event::{Event, StopHow};

use super::resume;
use crate::args::Stop;
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: &Stop) -> Result<ExitCode, Failure> {
    let how = if verb.drain { StopHow::Drain } else { StopHow::Now };
    let mut door = Door::open(scene).await?;
    if let Door::Own { desk, .. } = &door {
        if desk.state.shift().is_none() {
            return Err(Refused::NoShift.into());
        }
        // Its coordinator is dead, and its agents may be at work.
        drop(door);
        resume::end(scene).await?;
        print::note("the shift is over; its work is kept");
        return Ok(ExitCode::SUCCESS);
    }
    door.take(Event::StopAsked { how }).await?;
    print::note(match how {
        StopHow::Drain => "asked: nothing new is started, what runs may finish",
        StopHow::Now => "asked: what runs is stopped and its work kept",
    });
    Ok(ExitCode::SUCCESS)
}

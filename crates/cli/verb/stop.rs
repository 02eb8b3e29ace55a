//! `turno stop`: asks the live coordinator to end its shift; ends the shift of one that died.

use std::process::ExitCode;

use turno_core::admit::Refused;
use turno_core::event::{Event, StopHow};
use turno_core::shift::{Shift, ShiftStage, Winding};

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
        let state = desk.state.clone();
        let left = state.shift().ok_or(Refused::NoShift)?;
        // Its coordinator is dead, and its agents may be at work.
        drop(door);
        match how {
            // What runs may finish, so somebody has to listen to it until then.
            StopHow::Drain if !is_stopped(left) => resume::drain(scene, &state, left).await?,
            StopHow::Drain | StopHow::Now => resume::end(scene).await?,
        }
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

/// Whether what runs has been told to stop: then there is nothing to wait for.
fn is_stopped(shift: &Shift) -> bool {
    match shift.stage {
        ShiftStage::Winding(Winding::Stop | Winding::Budget) | ShiftStage::Ended { .. } => true,
        ShiftStage::Running | ShiftStage::Winding(Winding::Drain | Winding::TimeUp) => false,
    }
}

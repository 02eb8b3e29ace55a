//! Starting a program in the sandbox of an attempt, against starting it plainly.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use turno_engine::sandbox::Hold;
use turno_sandbox::limits::Limits;
use turno_sandbox::limits::means::Means;
use turno_sandbox::limits::rlimit::Rlimits;
use turno_sandbox::{Nesting, Network, Place, Profile, system};

use crate::measure::{Bound, Times, Verdict, time};

const ROUNDS: usize = 60;
/// What may be added to each start.
const MOST_MS: f64 = 20.0;

/// Runs the section.
pub(crate) fn run(dir: &Path) -> Verdict {
    let env: BTreeMap<String, String> = std::env::vars().collect();
    let turno = Path::new(env!("CARGO_BIN_EXE_turno"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hold = match runtime.block_on(Hold::probe(turno, &env)) {
        Ok(hold) => hold,
        Err(nothing) => {
            println!("not measured: {nothing}");
            return Verdict::Holds;
        }
    };
    println!("{}", hold.words());
    let slot = dir.join("slot");
    for made in ["slot", "home", "tmp"] {
        std::fs::create_dir(dir.join(made)).unwrap();
    }
    let mut places = vec![Place::cover(
        dir.join("home"),
        "/home/somebody",
        turno_sandbox::Access::Write,
    )];
    places.extend(system::toolchains(&env).into_iter().map(Place::read));
    places.extend(system::program(turno, None).into_iter().map(Place::read));
    places.push(Place::write(&slot));
    let profile = Profile {
        places,
        home: "/home/somebody".into(),
        tmp: dir.join("tmp"),
        cwd: slot,
        network: Network::None,
        nesting: Nesting::Closed,
    };
    let rlimits = Rlimits::beside(&Means::probe(), &Limits::none());
    let program = vec!["/bin/true".to_owned()];
    let confined = hold.wrap(turno, profile, &rlimits, program.clone()).unwrap();
    let mut plain = Times::of("/bin/true");
    let mut held = Times::of("/bin/true in the sandbox of an attempt");
    for round in 0..ROUNDS + 3 {
        let (alone, inside) = (start(&program), start(&confined));
        // The first ones fill caches.
        if round >= 3 {
            plain.push(alone);
            held.push(inside);
        }
    }
    plain.print(1);
    held.print(1);
    held.against(&plain, Bound::Shown);
    let added = (held.median().as_secs_f64() - plain.median().as_secs_f64()) * 1e3;
    let (words, verdict) = if added < MOST_MS {
        ("holds", Verdict::Holds)
    } else {
        ("BROKEN", Verdict::Broken)
    };
    println!("added to each start: {added:.2} ms, bound less than {MOST_MS} ms \u{2014} {words}");
    verdict
}

fn start(argv: &[String]) -> std::time::Duration {
    let (took, status) = time(|| Command::new(&argv[0]).args(&argv[1..]).status().unwrap());
    assert!(status.success(), "{argv:?}");
    took
}

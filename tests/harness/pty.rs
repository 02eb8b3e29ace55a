//! Owns a terminal that keeps what is written to it, byte for byte: what a terminal would heed is what a story looks at.

use std::fs::File;
use std::io::Read;
use std::process::Child;
use std::thread::JoinHandle;

use nix::pty::{Winsize, openpty};

use super::project::Project;

/// A verb whose output goes to a terminal.
pub(crate) struct Typed {
    pub(crate) child: Child,
    written: JoinHandle<Vec<u8>>,
}

impl Typed {
    /// Types a verb, and does not wait.
    pub(crate) fn begin(project: &Project, args: &[&str]) -> Self {
        let size = Winsize {
            ws_row: 40,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let ends = openpty(&size, None).unwrap();
        let mut command = project.command(args, &project.repo());
        command.env("TERM", "xterm-256color");
        command.stdout(ends.slave.try_clone().unwrap()).stderr(ends.slave);
        let child = command.spawn().unwrap();
        // Its ends here would keep the terminal open.
        drop(command);
        let mut terminal = File::from(ends.master);
        let written = std::thread::spawn(move || {
            let (mut all, mut piece) = (Vec::new(), vec![0; 1 << 16]);
            // When nobody holds the other end, reading is an error.
            while let Ok(n @ 1..) = terminal.read(&mut piece) {
                all.extend_from_slice(piece.get(..n).unwrap());
            }
            all
        });
        Self { child, written }
    }

    /// Waits for its end; gives all that it wrote.
    pub(crate) fn ends(mut self) -> Vec<u8> {
        self.child.wait().unwrap();
        self.written.join().unwrap()
    }
}

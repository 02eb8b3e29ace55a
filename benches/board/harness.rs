//! Owns nothing: it borrows from the stories how a project is made, a board is asked and a browser is led.

#[path = "../../tests/harness/board.rs"]
pub(crate) mod board;
#[path = "../../tests/harness/browser.rs"]
pub(crate) mod browser;
#[path = "../../tests/harness/processes.rs"]
pub(crate) mod processes;
#[path = "../../tests/harness/project.rs"]
pub(crate) mod project;

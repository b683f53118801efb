//! Ctrl-C: the first one makes a run save and leave, a second one leaves at once.

use crate::failure::{Failure, Outcome};
use wgrad::train::StopFlag;

/// The exit code of a command ended by Ctrl-C: 128 and the number of the signal.
const CODE: u8 = 130;

/// A flag raised by Ctrl-C, and by the signals that end a program politely.
pub fn listen() -> Outcome<StopFlag> {
    let flag = StopFlag::default();
    let raised = flag.clone();
    let on_signal = move || {
        if raised.request() > 1 {
            std::process::exit(i32::from(CODE));
        }
        eprintln!("\nsaving and leaving; Ctrl-C again leaves at once");
    };
    ctrlc::set_handler(on_signal).map_err(|error| Failure::new(format!("no handler for Ctrl-C: {error}")))?;
    Ok(flag)
}

/// The failure of an interrupted run; `command` continues the run.
pub fn failure(command: &str) -> Failure {
    Failure::new("interrupted").hint(format!("`{command}` continues the run")).code(CODE)
}

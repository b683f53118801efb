//! Ctrl-C: the first lets a run save and leave, a second one leaves at once.

use crate::failure::{Failure, Outcome};
use wgrad::train::StopFlag;

/// The exit code of a command that Ctrl-C ended: 128 and the number of the signal.
const CODE: u8 = 130;

/// A flag that Ctrl-C raises, and so do the signals that end a program politely.
pub fn listen() -> Outcome<StopFlag> {
    let flag = StopFlag::default();
    let raised = flag.clone();
    let on_signal = move || {
        if raised.request() > 1 {
            std::process::exit(i32::from(CODE));
        }
        eprintln!("\nsaving and leaving; Ctrl-C again leaves at once");
    };
    ctrlc::set_handler(on_signal).map_err(|error| Failure::new(format!("Ctrl-C can't be listened to: {error}")))?;
    Ok(flag)
}

/// The end of a run that was interrupted; `command` goes on with it.
pub fn failure(command: &str) -> Failure {
    Failure::new("interrupted").hint(format!("`{command}` goes on")).code(CODE)
}

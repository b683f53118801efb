//! The end of a command that went wrong.

use std::fmt::Display;
use std::io::ErrorKind;
use std::process::ExitCode;
use wgrad::Error;

/// A message, advice if there is any, and the exit code.
#[derive(Debug)]
pub struct Failure {
    message: String,
    hint: Option<String>,
    code: u8,
}

/// The outcome of a part of a command.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// Something that went wrong while the command ran.
    pub fn new(message: impl Display) -> Failure {
        Failure { message: message.to_string(), hint: None, code: 1 }
    }

    /// Arguments that don't fit together, in a way that clap can't check.
    pub fn usage(message: impl Display) -> Failure {
        Failure { code: 2, ..Failure::new(message) }
    }

    /// The same with advice.
    pub fn hint(self, hint: impl Display) -> Failure {
        Failure { hint: Some(hint.to_string()), ..self }
    }

    /// The same with another exit code.
    pub fn code(self, code: u8) -> Failure {
        Failure { code, ..self }
    }

    /// Writes the message to standard error. A reader who closed standard output early, as `head` does, is not a failure.
    pub fn report(self) -> ExitCode {
        if self.message.is_empty() {
            return ExitCode::from(self.code);
        }
        eprintln!("error: {}", self.message);
        if let Some(hint) = self.hint {
            eprintln!("  hint: {hint}");
        }
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let hint = match &error {
            Error::NoAdapter { .. } => {
                Some("`wgrad adapters` lists the available adapters; --reference runs on the CPU, slowly")
            }
            Error::OutOfMemory { .. } => Some("a smaller --batch-size or --size takes less memory, and so does --amp"),
            Error::Item { .. } => Some("`wgrad data DATA` lists the files that can't be read"),
            _ => None,
        };
        Failure { hint: hint.map(String::from), ..Failure::new(error) }
    }
}

/// From writing to standard output.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure { message: String::new(), hint: None, code: 0 },
            _ => Failure::new(format!("standard output: {error}")),
        }
    }
}

/// From writing values as JSON.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure::new(format!("JSON: {error}"))
    }
}

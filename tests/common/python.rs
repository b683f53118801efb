//! Scripts in a Python with PyTorch, which `PYTHON` names. Tests that run them belong to `make test-long`.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// True under `make test-long`.
pub fn is_long() -> bool {
    std::env::var_os("WGRAD_TEST_ALL").is_some()
}

/// The output of a script of `tests/`; `None`, with the reason printed, if it exits with 3: PyTorch, or a registry, is out of
/// reach.
pub fn ask(script: &str, arguments: &[&OsStr]) -> Option<String> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_string());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let output = match Command::new(&python).arg(path).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("{script} was left out: {python}: {error}");
            return None;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() == Some(3) {
        eprintln!("{script} was left out: {text}");
        return None;
    }
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Some(text)
}

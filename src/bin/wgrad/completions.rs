//! `wgrad completions`: scripts with which a shell completes the command's words.

use crate::Cli;
use crate::context::Context;
use crate::failure::Outcome;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Write a script with which a shell completes wgrad's words
#[derive(Args)]
#[command(after_help = "\
Examples:
  wgrad completions bash > ~/.local/share/bash-completion/completions/wgrad
  wgrad completions zsh > ~/.zfunc/_wgrad")]
pub struct Arguments {
    shell: Shell,
}

pub fn run(arguments: &Arguments, context: &Context) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "wgrad", &mut script);
    context.answer(String::from_utf8_lossy(&script).trim_end())
}

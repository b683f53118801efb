//! Options of every subcommand, and their consequences: the destination of output, and the device.

use crate::failure::Outcome;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
use wgrad::{Device, DeviceOptions, Error};

#[derive(Args)]
pub struct Globals {
    /// Print nothing but the answer
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Run on the adapter with NAME in its name; `wgrad adapters` lists them
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "reference")]
    adapter: Option<String>,
    /// Run on the CPU in double precision, without a driver: slow
    #[arg(long, global = true)]
    reference: bool,
}

pub struct Context {
    globals: Globals,
}

impl Context {
    pub fn new(globals: Globals) -> Context {
        Context { globals }
    }

    /// True for an answer in JSON.
    pub fn json(&self) -> bool {
        self.globals.json
    }

    /// True if only the answer is wanted.
    pub fn is_quiet(&self) -> bool {
        self.globals.quiet
    }

    /// Writes to standard output: the answer, or a part of it.
    pub fn answer(&self, text: impl Display) -> Outcome {
        Ok(writeln!(std::io::stdout().lock(), "{text}")?)
    }

    /// Writes the answer as JSON.
    pub fn answer_json(&self, value: &impl Serialize) -> Outcome {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, value).map_err(std::io::Error::from)?;
        Ok(writeln!(out)?)
    }

    /// Writes to standard error, unless quiet.
    pub fn note(&self, text: impl Display) {
        if !self.globals.quiet {
            eprintln!("{text}");
        }
    }

    /// A bar on the terminal, where standard error is one and progress is wanted.
    pub fn progress(&self, total: usize, unit: &str) -> ProgressBar {
        if self.globals.quiet {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(total as u64);
        match ProgressStyle::with_template(&format!("{{wide_bar}} {{pos}}/{{len}} {unit} {{per_sec}} {{eta}} left")) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    /// The adapter asked for, else the best, else the reference. A request in the environment counts, too.
    pub fn device(&self) -> Outcome<Device> {
        if self.globals.reference {
            return Ok(Device::reference());
        }
        let options = DeviceOptions::default().adapter_name(self.globals.adapter.clone());
        let is_named = self.globals.adapter.is_some() || std::env::var_os("WGPU_ADAPTER_NAME").is_some();
        match Device::with_options(&options) {
            Err(error @ Error::NoAdapter { .. }) if !is_named => {
                self.note(format!("running on the CPU reference, which is slow: {error}"));
                Ok(Device::reference())
            }
            device => Ok(device?),
        }
    }
}

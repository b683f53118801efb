//! Parts of the examples of tasks: flags, the device, the exit code.
#![allow(dead_code, reason = "each example takes what it needs")]

use clap::error::ErrorKind;
use clap::{Args, Parser};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::data::{Array, Dataset, Images, Mnist, Normalization};
use wgrad::{Device, DeviceOptions, Error};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Flags that all of them have.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Stop after this many training steps, and test on few images
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Seed of the initial weights, and of all other random numbers
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Part of the name of the adapter to use
    #[arg(long, value_name = "NAME", conflicts_with = "reference")]
    pub adapter: Option<String>,
    /// Run on the CPU reference in double precision: slow
    #[arg(long)]
    pub reference: bool,
    /// Folder of the four MNIST files, gzipped or not
    #[arg(long, value_name = "DIR", default_value = "data/mnist")]
    pub data: PathBuf,
    /// Write pictures into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl Flags {
    /// The flags of a test, which takes a few steps on the adapter under test, or on the reference if there must be none.
    pub fn short(steps: usize) -> Flags {
        let data = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/data/mnist"));
        let reference = std::env::var("WGRAD_TEST_ADAPTER").is_ok_and(|adapter| adapter == "none");
        Flags { steps: Some(steps), seed: 0, adapter: None, reference, data, out: None }
    }

    /// The requested adapter, otherwise the best, otherwise the reference. A request in the environment counts too. Its random
    /// stream begins at the seed.
    pub fn device(&self) -> Result<Device> {
        let device = open(self.adapter.as_deref(), self.reference)?;
        device.manual_seed(self.seed);
        Ok(device)
    }

    /// The digits as `y = (x - mean) / std` of pixels between 0 and 1. A short run is tested on the first few only.
    pub fn mnist(&self, mean: f32, std: f32) -> Result<Mnist> {
        let Mnist { train, test } = Mnist::open(&self.data)?;
        let normalization = Normalization::new(&[mean], &[std])?;
        let of = |images: Images, most: usize| -> Result<Images> {
            let most = if self.steps.is_some() { most } else { images.len() };
            Ok(images.limit(most)?.with_normalization(&normalization)?)
        };
        Ok(Mnist { train: of(train, 6000)?, test: of(test, 64)? })
    }

    /// An error if a whole run has not reached its figure.
    pub fn expect(&self, figure: &str, got: f64, least: f64) -> Result<()> {
        match self.steps.is_some() || got >= least {
            true => Ok(()),
            false => Err(format!("{figure} is {got:.4}; expected at least {least}").into()),
        }
    }

    /// The path of a picture, if pictures are asked for.
    pub fn picture(&self, name: &str) -> Result<Option<PathBuf>> {
        let folder = |out: &Path| std::fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()));
        self.out.as_deref().map(|out| folder(out).map(|()| out.join(name))).transpose().map_err(Into::into)
    }
}

/// The images for which `label` gives a label, from their index and their own label.
pub fn chosen(images: &Images, mut label: impl FnMut(usize, i32) -> Option<i32>) -> Result<Images> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (at, &old) in images.labels().iter().enumerate() {
        if let Some(label) = label(at, old) {
            pixels.extend_from_slice(images.get(at)?.image.pixels());
            labels.push(label);
        }
    }
    let [channels, height, width] = images.image_shape();
    let pixels = Array::new(vec![labels.len(), channels, height, width], pixels)?;
    Ok(Images::new(pixels, labels, images.classes().to_vec())?.with_normalization(images.normalization())?)
}

/// The adapter of this name, or without a name the best, or the reference if there is none.
pub fn open(adapter: Option<&str>, reference: bool) -> Result<Device> {
    if reference {
        return Ok(Device::reference());
    }
    let options = DeviceOptions::default().adapter_name(adapter.map(str::to_string));
    let is_named = adapter.is_some() || std::env::var_os("WGPU_ADAPTER_NAME").is_some();
    match Device::with_options(&options) {
        Err(error @ Error::NoAdapter { .. }) if !is_named => {
            eprintln!("running on the CPU reference, which is slow: {error}");
            Ok(Device::reference())
        }
        device => Ok(device?),
    }
}

/// Runs a program with its arguments: an error is one line on standard error.
pub fn main<A: Parser>(run: impl FnOnce(&A) -> Result<()>) -> ExitCode {
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            print!("{error}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{} (--help lists the options)", error.to_string().lines().next().unwrap_or_default());
            return ExitCode::FAILURE;
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

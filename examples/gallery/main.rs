//! Draws the pictures of `docs/GALLERY.md`, and writes the numbers next to them: `make gallery`.
//!
//! Each section draws one picture, `docs/gallery/NAME.png`, and measures numbers, which are kept in `docs/gallery/numbers.json`.
//! The page is `template.md` with those numbers, so that `--section NAME` redraws one section and leaves the others.

#[path = "../common/mod.rs"]
mod common;

mod attacks;
mod attributions;
mod calibration;
mod cams;
mod context;
mod corruptions;
mod dream;
mod features;
mod fields;
mod filters;
mod lime;
mod maximize;
mod novelty;
pub mod page;
mod reconstruct;
mod shrinking;
mod surface;
mod tasks;
mod units;

use clap::Parser;
pub use common::Flags;
use common::Result;
use context::Context;
use page::{Numbers, Page};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// A section's name, and the function that draws its picture.
type Section = (&'static str, fn(&Context, &Path) -> Result<Numbers>);

/// The sections in the order of the page.
pub const SECTIONS: [Section; 32] = [
    ("filters", filters::draw),
    ("features", features::draw),
    ("attributions", attributions::draw),
    ("lime", lime::draw),
    ("cams", cams::draw),
    ("maximize", maximize::draw),
    ("dream", dream::draw),
    ("reconstruct", reconstruct::draw),
    ("fields", fields::draw),
    ("units", units::draw),
    ("surface", surface::draw),
    ("attacks", attacks::draw),
    ("robust", tasks::robust),
    ("corruptions", corruptions::draw),
    ("calibration", calibration::draw),
    ("novelty", novelty::draw),
    ("pruning", shrinking::pruning),
    ("quantization", shrinking::quantization),
    ("low_rank", shrinking::low_rank),
    ("clustering", shrinking::clustering),
    ("distillation", shrinking::distillation),
    ("segment", tasks::segment),
    ("detect", tasks::detect),
    ("capsules", tasks::capsules),
    ("gan", tasks::gan),
    ("vae", tasks::vae),
    ("siamese", tasks::siamese),
    ("crnn", tasks::crnn),
    ("video", tasks::video),
    ("upscale", tasks::upscale),
    ("transfer", tasks::transfer),
    ("dqn", tasks::dqn),
];

/// The largest picture in bytes: every clone of the repository carries them.
pub const LARGEST: u64 = 60_000;
/// The largest sum of all.
pub const LARGEST_SUM: u64 = 1_500_000;

/// Draws the pictures of the gallery.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// Draw this section alone; may be repeated
    #[arg(long, value_name = "NAME")]
    section: Vec<String>,
    /// Draw nothing, and write the page with the known numbers
    #[arg(long, conflicts_with = "section")]
    page: bool,
    /// Folder of `GALLERY.md` and `gallery/`
    #[arg(long, value_name = "DIR", default_value = "docs")]
    docs: PathBuf,
}

fn main() -> ExitCode {
    common::main(|Arguments { flags, section, page, docs }: &Arguments| {
        let is_drawn = |name: &str| !page && (section.is_empty() || section.iter().any(|asked| asked == name));
        let unknown = section.iter().find(|asked| SECTIONS.iter().all(|(name, _)| name != asked));
        if let Some(unknown) = unknown {
            return Err(format!("there is no section {unknown:?}").into());
        }
        run(flags, is_drawn, docs)
    })
}

/// Draws the sections for which `is_drawn` is true, and writes the page.
pub fn run(flags: &Flags, is_drawn: impl Fn(&str) -> bool, docs: &Path) -> Result<()> {
    let context = Context::new(flags)?;
    let mut page = Page::open(docs)?;
    for (name, draw) in SECTIONS.iter().filter(|(name, _)| is_drawn(name)) {
        let start = Instant::now();
        context.device.manual_seed(flags.seed);
        let picture = page.picture(name);
        let numbers = draw(&context, &picture)?;
        let bytes = std::fs::metadata(&picture)?.len();
        if bytes > LARGEST {
            return Err(format!("{} takes {bytes} bytes; {LARGEST} are allowed", picture.display()).into());
        }
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("{name}: {seconds:.0} s, {bytes} bytes, {numbers:?}");
        page.keep(name, numbers)?;
    }
    page.write()
}

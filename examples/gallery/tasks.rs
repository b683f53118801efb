//! The examples of the zoo's tasks, with their own pictures and figures.

use super::common::Result;
use super::context::Context;
use super::page::Numbers;
use std::path::Path;
use wgrad::report::LineChart;

/// Includes examples as modules, whose `main` is not called.
macro_rules! examples {
    ($($name:ident $path:literal)*) => {$(
        #[path = $path]
        #[allow(dead_code, clippy::duplicate_mod, reason = "its main function, and what examples share")]
        mod $name;
    )*};
}

/// The gallery's flags as an example's, whose type is a different one.
macro_rules! flags {
    ($module:ident, $context:expr, $steps:expr, $out:expr) => {
        $module::Flags {
            steps: $steps,
            seed: $context.flags.seed,
            adapter: $context.flags.adapter.clone(),
            reference: $context.flags.reference,
            data: $context.flags.data.clone(),
            out: $out,
        }
    };
}

/// A section that runs an example with the gallery's flags, and takes its picture.
macro_rules! sections {
    ($($name:ident, $module:ident, $picture:literal, $figure:literal, |$flags:ident| $run:expr;)*) => {$(
        pub fn $name(context: &Context, path: &Path) -> Result<Numbers> {
            let folder = tempfile::tempdir()?;
            let $flags = &flags!($module, context, context.flags.steps, Some(folder.path().to_path_buf()));
            let figure: f64 = $run?;
            std::fs::copy(folder.path().join($picture), path)?;
            Ok(vec![($figure, format!("{figure:.4}"))])
        }
    )*};
}

examples! {
    capsules_example "../capsules.rs"
    crnn_example "../crnn.rs"
    detect_example "../detect.rs"
    dqn_example "../dqn.rs"
    gan_example "../gan.rs"
    robust_example "../robust.rs"
    segment_example "../segment.rs"
    siamese_example "../siamese.rs"
    transfer_example "../transfer.rs"
    upscale_example "../upscale.rs"
    vae_example "../vae.rs"
    video_example "../video.rs"
}

sections! {
    capsules, capsules_example, "capsules.png", "accuracy", |flags| capsules_example::run(flags);
    crnn, crnn_example, "crnn.png", "exact", |flags| crnn_example::run(flags);
    detect, detect_example, "detect.png", "map_50", |flags| detect_example::run(flags);
    gan, gan_example, "gan.png", "share", |flags| gan_example::run(flags);
    segment, segment_example, "segment.png", "mean_iou", |flags| segment_example::run(flags);
    siamese, siamese_example, "siamese.png", "accuracy", |flags| siamese_example::run(flags, siamese_example::Kind::SemiHard);
    transfer, transfer_example, "transfer.png", "gain", |flags| transfer_example::run(flags);
    upscale, upscale_example, "upscale.png", "gain", |flags| upscale_example::run(flags, 0);
    vae, vae_example, "vae.png", "elbo", |flags| vae_example::run(flags);
    video, video_example, "video.png", "accuracy", |flags| video_example::run(video_example::Network::R2plus1d, flags);
}

/// Networks under attack, and the curve of a smoothed one.
pub fn robust(context: &Context, path: &Path) -> Result<Numbers> {
    let folder = tempfile::tempdir()?;
    let out = Some(folder.path().to_path_buf());
    let found = robust_example::run(&flags!(robust_example, context, context.flags.steps, out))?;
    std::fs::copy(folder.path().join("robust.png"), path)?;
    let told = [("plain", found.plain), ("robust", found.robust), ("certified", found.certified)];
    Ok(told.map(|(name, share)| (name, format!("{share:.3}"))).to_vec())
}

/// Steps after which the pole's mean return is measured.
const STEPS: [usize; 4] = [1, 100, 200, 300];

/// The mean return of Q-learning on the pole after some steps.
pub fn dqn(context: &Context, path: &Path) -> Result<Numbers> {
    let mut points = Vec::new();
    for steps in STEPS.into_iter().take(context.amount(STEPS.len(), 1)) {
        let flags = flags!(dqn_example, context, Some(steps), None);
        points.push((steps as f64, dqn_example::run(dqn_example::World::CartPole, &flags)?[0]));
    }
    let last = points.last().map_or(0.0, |&(_, mean)| mean);
    let chart = LineChart::new("A pole balanced by Q-learning", "steps", "mean return").series("mean return", points);
    let chart = chart.reference("solved", vec![(0.0, 475.0), (300.0, 475.0)]).size(480.0, 280.0);
    std::fs::write(path, chart.draw().png(1.0)?)?;
    Ok(vec![("mean", format!("{last:.1}"))])
}

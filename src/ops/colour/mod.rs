//! Changes the colours of images by programs: a list of steps for each image, carried out in one kernel, plus two kernels for
//! each step that needs a statistic of its image.

mod step;

pub(crate) use step::ColourStep;

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const TEMPLATE: &str = wgsl!("colour/colour");
const TABLES: &str = wgsl!("colour/colour_tables");

const OP: &str = "colour";

/// Pixels per workgroup: few enough for exact counts in f32 if there are statistics.
const CHUNK: usize = 1024;
const STATISTICS_CHUNK: usize = 16_384;

/// `output[n] =` image `n` after the steps of its program. Inputs: images `[N, C, H, W]` of one channel or three; programs
/// `[N, S, 4]`, or `[1, S, 4]` for all.
#[derive(Clone, Debug, Hash)]
struct Colour {
    /// The most steps with a statistic in an image's program.
    stages: usize,
}

impl Colour {
    /// The kernel that goes through the pixels, up to a stage's statistic or to the end.
    fn kernel(&self, io: &Io, tables: Option<Operand>, stage: Option<usize>) -> Kernel {
        let (images, program) = (&io.inputs[0], &io.inputs[1]);
        let [count, channels] = [images.shape[0], images.shape[1]];
        let pixels = images.shape[2] * images.shape[3];
        let chunk = if stage.is_some() { STATISTICS_CHUNK } else { CHUNK };
        let (chunks, steps) = (pixels.div_ceil(chunk), program.shape[1]);
        let stride = if program.shape[0] == 1 { 0 } else { 4 * steps };
        let kernel = Kernel::new(OP, TEMPLATE)
            .alias("Element", images.dtype.wgsl())
            .constant("CHANNELS", channels)
            .constant("BYTES", !images.dtype.is_float())
            .bind("input", Operand::Input(0))
            .bind("program", Operand::Input(1))
            .bind("tables", tables.unwrap_or(Operand::Input(1)))
            .loads("load_input", Operand::Input(0), images.shape.numel())
            .values(&[count, pixels, images.shape[3], chunk, chunks, steps, stride, stage.unwrap_or(0), self.stages])
            .words([Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(count * chunks, 1))
            .work(images.shape.numel() * 16 * steps);
        match (stage, images.dtype.is_float()) {
            (Some(_), _) => kernel.constant("STATISTICS", true),
            (None, true) => kernel.bind("output", Operand::Output(0)),
            (None, false) => kernel
                .alias("Stored", images.dtype.wgsl())
                .hook("store_output", "output[index] = Stored(value);")
                .bind("output", Operand::Output(0)),
        }
    }
}

impl Op for Colour {
    fn name(&self) -> &'static str {
        OP
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let images = &io.inputs[0];
        let [count, channels] = [images.shape[0], images.shape[1]];
        let pixels = images.shape[2] * images.shape[3];
        let chunks = pixels.div_ceil(STATISTICS_CHUNK);
        let mut kernels = Kernels::default();
        let (partials, tables) = (Operand::Temporary(0), Operand::Temporary(1));
        if self.stages > 0 {
            kernels.temporaries =
                vec![4 * count * chunks * (9 + 256 * channels), 4 * count * self.stages * 256 * channels];
        }
        for stage in 0..self.stages {
            let before = (stage > 0).then_some(tables);
            kernels.kernels.push(self.kernel(io, before, Some(stage)).bind("output", partials));
            let bound = if images.dtype.is_float() { "1.0" } else { "255.0" };
            let kernel = Kernel::new("colour_tables", TABLES)
                .constant("CHANNELS", channels)
                .constant("BOUND", bound)
                .bind("partials", partials)
                .bind("tables", tables)
                .values(&[count, chunks, stage, self.stages])
                .grid(fold_groups(count, 1))
                .work(count * 256 * (chunks + 256));
            kernels.kernels.push(kernel);
        }
        kernels.kernels.push(self.kernel(io, (self.stages > 0).then_some(tables), None));
        Ok(kernels)
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let (images, program) = (&inputs[0], &inputs[1]);
        let [channels, steps] = [images.shape[1], program.shape[1]];
        let [height, width] = [images.shape[2], images.shape[3]];
        let pixels = height * width;
        let mut values = images.values.clone();
        for (at, image) in values.chunks_exact_mut((channels * pixels).max(1)).enumerate() {
            let first = if program.shape[0] == 1 { 0 } else { at * steps };
            let step = |step: usize| ColourStep::from_words(&program.values[4 * step..4 * step + 4]);
            let extent = match step(first) {
                ColourStep::Extent(size) => size.map(nearest::<usize>),
                _ => [height, width],
            };
            let inside: Vec<usize> =
                (0..pixels).filter(|pixel| pixel / width < extent[0] && pixel % width < extent[1]).collect();
            let channel = |channel: &[f64]| inside.iter().map(|&pixel| channel[pixel]).collect();
            let channels = image.chunks_exact(pixels).map(channel).collect();
            let mut part = step::Image { channels, bytes: !images.dtype.is_float() };
            (first..first + steps).for_each(|at| part.step(step(at)));
            for (channel, part) in image.chunks_exact_mut(pixels).zip(part.channels) {
                inside.iter().zip(part).for_each(|(&pixel, value)| channel[pixel] = value);
            }
        }
        Ok(vec![HostTensor::new(images.shape, images.dtype, values)])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

impl Tensor {
    /// These images `[N, C, H, W]` after the steps of programs `[N, S, 4]` or `[1, S, 4]`, at most `stages` of which need a
    /// statistic in any image. Images of other than one or three channels count as `C` images of one channel each, whose steps
    /// must not mix channels.
    #[track_caller]
    pub(crate) fn recolour(&self, program: &Tensor, stages: usize) -> Result<Tensor> {
        if self.rank() != 4 {
            return Err(Error::invalid(OP, format!("expected images [N, C, H, W]; got {}", self.shape())));
        }
        if !matches!(self.dtype(), DType::F32 | DType::I32) {
            return Err(Error::WrongDType { op: OP, expected: "f32, or i32 that holds bytes", got: self.dtype() });
        }
        let [count, channels, height, width] = [0, 1, 2, 3].map(|dim| self.shape()[dim]);
        let (images, program) = (self.contiguous()?, program.contiguous()?);
        if matches!(channels, 1 | 3) {
            return record_one(Colour { stages }, &[&images, &program]);
        }
        let [programs, steps] = [program.shape()[0], program.shape()[1]];
        let program = match programs {
            1 => program,
            _ => program
                .unsqueeze(1)?
                .expand_to(Shape::new(&[programs, channels, steps, 4])?, OP)?
                .reshape_to(Shape::new(&[programs * channels, steps, 4])?)?,
        };
        let planes = images.reshape_to(Shape::new(&[count * channels, 1, height, width])?)?;
        record_one(Colour { stages }, &[&planes, &program])?.reshape_to(*self.shape())
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |shape: &[usize], programs: Vec<Vec<ColourStep>>| {
        let steps = programs[0].len();
        let stages = programs.iter().map(|steps| steps.iter().filter(|step| step.needs_statistic()).count()).max();
        let words: Vec<f32> = programs.iter().flatten().flat_map(|step| step.words()).collect();
        let shape_of_program = [programs.len(), steps, 4];
        Case::new(OP, &[shape], move |x| {
            let program = Tensor::from_slice(x[0].device(), &words, &shape_of_program)?;
            Ok(vec![x[0].recolour(&program, stages.unwrap_or(0))?])
        })
        .domain(0, 0.0, 1.0)
        .with("steps", programs.concat())
        .no_gradient()
    };
    let one = |step: ColourStep| vec![vec![step]];
    let mut cases = Vec::new();
    let steps = [
        ColourStep::Identity,
        ColourStep::Brightness(1.3),
        ColourStep::Saturation(0.4),
        ColourStep::Saturation(1.7),
        ColourStep::Hue(-0.2),
        ColourStep::Hue(0.5),
        ColourStep::Gamma { gamma: 2.2, gain: 1.0 },
        ColourStep::Gamma { gamma: 0.0, gain: 0.5 },
        ColourStep::Invert,
        ColourStep::Posterize(3.0),
        ColourStep::Solarize(0.4),
        ColourStep::Grayscale,
        ColourStep::Permute([2.0, 0.0, 1.0]),
        ColourStep::Contrast(1.6),
        ColourStep::Autocontrast,
        ColourStep::Equalize,
    ];
    for step in steps {
        cases.push(case(&[2, 3, 5, 7], one(step)));
    }
    // One channel, bytes, no images, and more pixels than a chunk and than a workgroup takes in one iteration.
    cases.push(case(&[2, 1, 5, 7], one(ColourStep::Contrast(1.6))));
    cases.push(case(&[0, 3, 5, 7], one(ColourStep::Equalize)));
    cases.push(case(
        &[1, 1, 150, 151],
        vec![vec![ColourStep::Equalize, ColourStep::Autocontrast, ColourStep::Contrast(0.5)]],
    ));
    cases.push(case(&[2, 5, 4, 4], vec![vec![ColourStep::Autocontrast], vec![ColourStep::Solarize(0.3)]]));
    for step in [
        ColourStep::Brightness(0.75),
        ColourStep::Solarize(128.0),
        ColourStep::Posterize(2.0),
        ColourStep::Equalize,
        ColourStep::Invert,
    ] {
        cases.push(case(&[2, 3, 40, 41], one(step)).integers(0, 0, 255));
    }
    // Each image with steps of its own, statistics at different positions.
    let mixed = vec![
        vec![ColourStep::Brightness(1.2), ColourStep::Contrast(0.7), ColourStep::Hue(0.1), ColourStep::Autocontrast],
        vec![ColourStep::Equalize, ColourStep::Invert, ColourStep::Identity, ColourStep::Identity],
        vec![ColourStep::Grayscale, ColourStep::Solarize(0.5), ColourStep::Autocontrast, ColourStep::Equalize],
    ];
    cases.push(case(&[3, 3, 9, 11], mixed));
    // Images smaller than their batch.
    let small = |size: [f32; 2], step: ColourStep| vec![ColourStep::Extent(size), ColourStep::Invert, step];
    let parts = vec![
        small([9.0, 4.0], ColourStep::Contrast(0.7)),
        small([3.0, 11.0], ColourStep::Autocontrast),
        small([8.0, 10.0], ColourStep::Equalize),
        small([9.0, 11.0], ColourStep::Contrast(1.7)),
    ];
    cases.push(case(&[4, 3, 9, 11], parts));
    cases
}

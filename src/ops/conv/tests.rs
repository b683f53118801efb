//! Tests every method of computing a convolution against the reference, on an adapter.

use super::call::Call;
use super::tiled::{TILES, product};
use super::winograd::{ERROR, OUTPUTS};
use super::{Convolution, Geometry, Pass, convolve_whole};
use crate::device::{Adapter, Disable};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Budget, Io, Op, Tensor, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::shader::{Kernels, MOST_GROUPS};
use crate::shape::{Layout, Shape};
use crate::{Device, DeviceOptions, DynamicSizes, Noop};
use std::hash::Hasher;

const PASSES: [Pass; 3] = [Pass::Forward, Pass::BackwardData, Pass::BackwardFilter];

/// The bytes that an adapter binds, and the groups that a dimension of a grid has.
#[derive(Clone, Copy, Debug, Hash)]
struct Limits {
    bytes: u64,
    groups: usize,
}

impl Limits {
    const NONE: Limits = Limits::bytes(u64::MAX);

    const fn bytes(bytes: u64) -> Limits {
        Limits { bytes, groups: MOST_GROUPS }
    }
}

/// A convolution computed by one of its candidates.
#[derive(Debug, Hash)]
struct Forced {
    convolution: Convolution,
    candidate: usize,
    limits: Limits,
}

impl Forced {
    /// Followed by a method that computes any convolution.
    fn candidates(&self, io: &Io, adapter: &Adapter) -> Result<Vec<Kernels>> {
        let adapter = Adapter { max_binding_bytes: self.limits.bytes, ..adapter.clone() };
        let (whole, flat) = (&self.convolution.geometry, self.convolution.geometry.flattened());
        let call = |geometry| Call { most_groups: self.limits.groups, ..self.convolution.call(geometry, io, &adapter) };
        let mut candidates = call(&flat).candidates()?;
        if !candidates.iter().any(is_of_blocks) {
            candidates.push(call(whole).blocks()?);
        }
        Ok(candidates)
    }
}

impl Op for Forced {
    fn name(&self) -> &'static str {
        "forced"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        self.convolution.outputs(inputs)
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        Ok(self.candidates(io, adapter)?.swap_remove(self.candidate))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        self.convolution.reference(inputs)
    }
}

/// A device with poisoned buffers, unless `WGRAD_TEST_ADAPTER=none`.
fn device(disable: Disable) -> Option<Device> {
    if std::env::var("WGRAD_TEST_ADAPTER").is_ok_and(|name| name == "none") {
        return None;
    }
    Some(Device::with_options(&DeviceOptions::default().poison(true).disable(disable)).unwrap())
}

fn random(count: usize, mut seed: u32) -> Vec<f32> {
    (0..count)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// `[groups, in, out]` channels of a group, then pairs of (height, width).
fn geometry(
    [groups, in_per_group, out_per_group]: [usize; 3],
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
) -> Geometry {
    let output = [0, 1].map(|d| (input[d] + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1) / stride[d] + 1);
    Geometry { groups, in_per_group, out_per_group, input, output, kernel, stride, padding, dilation }
}

/// The results of a pass by those of its candidates that are `wanted`, and the exact result. Operands begin within their
/// buffers.
fn results(
    device: &Device,
    (pass, g): (Pass, &Geometry),
    (batch, dtype): (usize, DType),
    limits: Limits,
    wanted: impl Fn(usize, &Kernels) -> bool,
) -> (Vec<(Kernels, Vec<f64>)>, Vec<f64>) {
    results_with(device, (pass, g), (batch, dtype), None, limits, wanted)
}

/// The same, with the last element of one operand infinite.
fn results_with(
    device: &Device,
    (pass, g): (Pass, &Geometry),
    (batch, dtype): (usize, DType),
    infinite: Option<usize>,
    limits: Limits,
    wanted: impl Fn(usize, &Kernels) -> bool,
) -> (Vec<(Kernels, Vec<f64>)>, Vec<f64>) {
    let convolution = Convolution { pass, geometry: *g, whole: false };
    let image = |channels: usize, size: [usize; 2]| vec![batch, g.groups * channels, size[0], size[1]];
    let weight = vec![g.groups * g.out_per_group, g.in_per_group, g.kernel[0], g.kernel[1]];
    let shapes = match pass {
        Pass::Forward => [image(g.in_per_group, g.input), weight],
        Pass::BackwardData => [image(g.out_per_group, g.output), weight],
        Pass::BackwardFilter => [image(g.out_per_group, g.output), image(g.in_per_group, g.input)],
    };
    let operands = [0, 1].map(|i| {
        let mut sizes = shapes[i].clone();
        sizes[0] += 1;
        let mut values = random(sizes.iter().product(), 7 + i as u32);
        if infinite == Some(i) {
            *values.last_mut().unwrap() = f32::INFINITY;
        }
        let whole = Tensor::from_slice(device, &values, &sizes).unwrap().to_dtype(dtype).unwrap();
        whole.narrow(0, 1, shapes[i][0]).unwrap()
    });
    let [first, second] = &operands;
    let values = [first, second].map(|operand| operand.to_f64().unwrap());
    let mut exact = vec![0.0; convolution.shape(batch).unwrap().numel()];
    super::reference::compute(pass, g, batch, &values[0], &values[1], &mut exact);
    let layouts = [first, second].map(|operand| *operand.layout());
    let outputs = convolution.outputs(&layouts).unwrap();
    let io = Io { inputs: &layouts, outputs: &outputs, budget: Budget::default() };
    let forced = |candidate| Forced { convolution: convolution.clone(), candidate, limits };
    let candidates = forced(0).candidates(&io, device.adapter().unwrap()).unwrap();
    let chosen = candidates.into_iter().enumerate().filter(|(candidate, kernels)| wanted(*candidate, kernels));
    let run =
        |(candidate, kernels)| (kernels, record_one(forced(candidate), &[first, second]).unwrap().to_f64().unwrap());
    (chosen.map(run).collect(), exact)
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most: f64, value| most.max(if value.is_nan() { f64::INFINITY } else { value.abs() }))
}

/// Fails if a candidate differs from the reference by more than adding up in f32 may.
fn agree(
    device: &Device,
    (passes, g): (&[Pass], &Geometry),
    (batch, dtype): (usize, DType),
    limits: Limits,
    wanted: impl Fn(usize, &Kernels) -> bool,
) {
    for &pass in passes {
        let [.., depth] = product(pass, g);
        let terms = if pass == Pass::BackwardFilter { batch * depth } else { depth };
        let (results, exact) = results(device, (pass, g), (batch, dtype), limits, &wanted);
        let epsilon = if dtype == DType::F16 { 1.0 / 1024.0 } else { f64::from(f32::EPSILON) * (terms + 16) as f64 };
        let scale = largest(exact.iter().copied()).max(1.0);
        assert!(!results.is_empty(), "no candidates for {pass:?} of {g:?}");
        for (kernels, got) in results {
            let worst = largest(got.iter().zip(&exact).map(|(a, b)| a - b));
            let names: Vec<&str> = kernels.kernels.iter().map(|kernel| kernel.name).collect();
            assert!(worst <= epsilon * scale, "{pass:?} of {g:?} by {names:?} is off by {worst:.1e} of {scale:.1e}");
        }
    }
}

fn is_eights(kernels: &Kernels) -> bool {
    kernels.kernels.last().is_some_and(|kernel| kernel.name.contains("winograd") && kernel.name.ends_with("_eights"))
}

/// True if the adapter is of the kind that loads groups of eight.
fn has_eights(device: &Device) -> bool {
    device.adapter().is_some_and(|adapter| adapter.profile.u64_pairs && adapter.profile.sharers > 1)
}

#[test]
fn every_candidate_agrees_with_the_reference() {
    let Some(gpu) = device(Disable { software: true, ..Disable::default() }) else { return };
    let list = [
        // Sizes that no tile divides; more than one tile each way.
        geometry([1, 5, 67], [13, 11], [3, 3], [1, 1], [1, 1], [1, 1]),
        // Groups, strides, dilation, asymmetric kernels and padding.
        geometry([2, 9, 7], [9, 12], [2, 3], [2, 3], [1, 0], [1, 1]),
        geometry([1, 3, 4], [11, 13], [3, 2], [2, 4], [3, 1], [3, 2]),
        // Strides past the kernel: some positions are reached by no tap.
        geometry([1, 2, 3], [7, 8], [1, 2], [3, 3], [0, 1], [1, 1]),
        // Pointwise, whose planes become rows.
        geometry([1, 18, 6], [5, 7], [1, 1], [1, 1], [0, 0], [1, 1]),
        // Enough channels for Winograd.
        geometry([1, 16, 17], [6, 7], [3, 3], [1, 1], [1, 0], [1, 1]),
    ];
    // Compiling takes longest, so each case runs with one of the tiles, in turn, and with all other candidates.
    for (i, g) in list.iter().enumerate() {
        let dtype = if i % 4 == 1 { DType::F16 } else { DType::F32 };
        let is_tile = |kernels: &Kernels| kernels.kernels[0].name.ends_with("_tiled");
        agree(&gpu, (&PASSES, g), (2, dtype), Limits::NONE, |candidate, kernels| {
            !is_tile(kernels) || candidate % TILES.len() == i % TILES.len()
        });
    }
}

/// If compiling takes long there is one tile, steps of the depth stay a loop, and channels may be parameters.
#[test]
fn tiles_that_compile_quickly_agree_with_the_reference() {
    let gpu = Disable { software: true, subgroup: true, ..Disable::default() };
    // More than one tile each way, and depths that are not multiples of a tile's.
    let g = geometry([1, 21, 67], [13, 11], [3, 3], [2, 1], [1, 1], [1, 1]);
    for sizes in [DynamicSizes::Never, DynamicSizes::Always] {
        let Some(device) = device(gpu) else { return };
        device.dynamic_sizes(sizes);
        let is_tile = |_: usize, kernels: &Kernels| kernels.kernels[0].name.ends_with("_tiled");
        assert!(device.adapter().unwrap().profile.compiles_slowly);
        agree(&device, (&PASSES, &g), (2, DType::F32), Limits::NONE, is_tile);
    }
}

#[test]
fn folded_grids_agree_with_the_reference() {
    let list = [
        geometry([2, 9, 70], [9, 12], [2, 3], [2, 3], [1, 0], [1, 1]),
        geometry([1, 16, 17], [6, 7], [3, 3], [1, 1], [1, 0], [1, 1]),
        geometry([67, 1, 1], [5, 9], [3, 2], [1, 1], [1, 1], [1, 1]),
    ];
    let folded = Limits { groups: 0, ..Limits::NONE };
    let kinds = [(false, false), (false, true), (true, false)];
    for (software, subgroup) in kinds {
        let Some(device) = device(Disable { software, subgroup, ..Disable::default() }) else { return };
        for (i, g) in list.iter().enumerate() {
            let is_tile = |kernels: &Kernels| kernels.kernels[0].name.ends_with("_tiled");
            agree(&device, (&PASSES, g), (2, DType::F32), folded, |candidate, kernels| {
                !is_tile(kernels) || candidate % TILES.len() == i % TILES.len()
            });
        }
    }
}

fn is_of_blocks(kernels: &Kernels) -> bool {
    kernels.kernels[0].name.ends_with("_blocks")
}

#[test]
fn blocks_of_taps_agree_with_the_reference() {
    let list = [
        // Kernels of whole blocks, and of a prime number of taps.
        geometry([1, 3, 5], [2, 90], [1, 72], [1, 1], [0, 0], [1, 1]),
        geometry([2, 2, 3], [5, 83], [3, 67], [1, 2], [1, 33], [1, 1]),
        // Strides and dilations that share a factor, that share none, and with which no taps meet in a position.
        geometry([1, 3, 2], [40, 250], [3, 5], [12, 60], [1, 7], [9, 44]),
        geometry([1, 2, 9], [31, 300], [4, 6], [5, 35], [2, 30], [8, 48]),
        geometry([1, 4, 3], [90, 260], [3, 3], [30, 70], [2, 0], [30, 70]),
        // More positions than taps reach, fewer than a block has, and a dilation alone.
        geometry([3, 1, 2], [101, 210], [2, 3], [50, 101], [0, 1], [1, 1]),
        geometry([1, 1, 1], [1, 8000], [1, 7990], [1, 1], [0, 0], [1, 1]),
        geometry([4, 1, 1], [150, 140], [3, 3], [1, 1], [0, 69], [70, 69]),
        geometry([1, 1, 1], [70, 1], [70, 1], [1, 1], [35, 0], [1, 1]),
    ];
    for software in [false, true] {
        let Some(device) = device(Disable { software, ..Disable::default() }) else { return };
        for (i, g) in list.iter().enumerate() {
            let dtype = if i % 4 == 1 { DType::F16 } else { DType::F32 };
            agree(&device, (&PASSES, g), (2, dtype), Limits::NONE, |_, kernels| is_of_blocks(kernels));
        }
    }
}

/// True if two results are both NaN, the same infinity, or no further apart than adding up in f32 may get them.
fn is_same(got: f64, exact: f64) -> bool {
    got == exact || (got.is_nan() && exact.is_nan()) || (got - exact).abs() <= 1e-4
}

#[test]
fn an_infinity_reaches_only_what_sees_it() {
    let list = [
        // Rows that no strip divides, and positions of the input that no window reaches.
        geometry([1, 3, 5], [5, 25], [3, 3], [1, 1], [0, 0], [1, 1]),
        geometry([2, 3, 5], [8, 59], [2, 3], [2, 3], [0, 0], [1, 1]),
        geometry([1, 5, 9], [5, 11], [1, 1], [1, 1], [0, 0], [1, 1]),
        // Depthwise.
        geometry([9, 1, 1], [9, 17], [3, 3], [1, 1], [0, 0], [1, 1]),
        geometry([3, 1, 1], [9, 12], [3, 2], [2, 1], [0, 0], [1, 1]),
    ];
    let is_direct = |kernels: &Kernels| !kernels.kernels[0].name.contains("winograd");
    let software = Disable::default();
    let kinds = [software, Disable { subgroup: true, int64: true, ..software }, Disable { software: true, ..software }];
    for disable in kinds {
        let Some(device) = device(disable) else { return };
        for (i, g) in list.iter().enumerate() {
            for pass in PASSES {
                // The gradient of the input is a convolution of a padded `grad`, and padding is zeros that are multiplied.
                let operands = if pass == Pass::BackwardData { &[0][..] } else { &[0, 1] };
                for &infinite in operands {
                    // Compiling takes longest: one of the tiles for GPUs in turn.
                    let wanted = |candidate: usize, kernels: &Kernels| {
                        let is_tile = kernels.kernels[0].name.ends_with("_tiled");
                        is_direct(kernels) && (!is_tile || candidate % TILES.len() == i % TILES.len())
                    };
                    let (results, exact) =
                        results_with(&device, (pass, g), (2, DType::F32), Some(infinite), Limits::NONE, wanted);
                    for (kernels, got) in results {
                        let at = (0..got.len()).find(|&at| !is_same(got[at], exact[at]));
                        let name = kernels.kernels[0].name;
                        let differs = at.map(|at| (at, got[at], exact[at]));
                        assert_eq!(differs, None, "{name}: {pass:?} of {g:?}, operand {infinite}");
                    }
                }
            }
        }
    }
}

/// Winograd's algorithm adds and subtracts everything that a tile sees, so that one infinity makes NaN of other results of its
/// tiles, and of no others.
#[test]
fn winograd_spreads_an_infinity_over_its_tiles() {
    let g = geometry([1, 16, 16], [16, 16], [3, 3], [1, 1], [1, 1], [1, 1]);
    for disable in [Disable::default(), Disable { software: true, ..Disable::default() }] {
        let Some(device) = device(disable) else { return };
        let is_winograd = |_: usize, kernels: &Kernels| kernels.kernels[0].name.contains("winograd");
        for pass in [Pass::Forward, Pass::BackwardData] {
            let (results, exact) =
                results_with(&device, (pass, &g), (2, DType::F32), Some(0), Limits::NONE, is_winograd);
            for (kernels, got) in results {
                let name = kernels.kernels[0].name;
                for (at, (&got, &exact)) in got.iter().zip(&exact).enumerate() {
                    // The infinity is in the last row and column of the last image; tiles have at most 4 x 4 results.
                    let is_near = at >= 16 * 256 && at / 16 % 16 >= 12 && at % 16 >= 12;
                    let is_right = if exact.is_finite() { is_same(got, exact) } else { !got.is_finite() };
                    assert!(is_right || is_near && got.is_nan(), "{name}: {pass:?} at {at}: {got}, not {exact}");
                }
            }
        }
    }
}

#[test]
fn winograd_keeps_its_bound() {
    let Some(gpu) = device(Disable { software: true, ..Disable::default() }) else { return };
    // The first two in parts of the batch.
    let list = [
        (80_000, geometry([1, 16, 20], [9, 10], [3, 3], [1, 1], [1, 1], [1, 1])),
        (80_000, geometry([2, 17, 16], [7, 5], [3, 3], [1, 1], [0, 2], [1, 1])),
        (1 << 30, geometry([1, 512, 16], [8, 8], [3, 3], [1, 1], [1, 1], [1, 1])),
    ];
    let is_winograd = |kernels: &Kernels| kernels.kernels[0].name == "conv2d_winograd_spread";
    for (bytes, g) in &list {
        for pass in [Pass::Forward, Pass::BackwardData] {
            let [.., terms] = product(pass, g);
            let (results, exact) =
                results(&gpu, (pass, g), (5, DType::F32), Limits::bytes(*bytes), |_, kernels| is_winograd(kernels));
            assert_eq!(results.len(), OUTPUTS.len());
            let unit = f64::from(f32::EPSILON) * (terms as f64).sqrt() * largest(exact.iter().copied());
            for (kernels, got) in results {
                assert_eq!(kernels.kernels.len() > 4, *bytes == 80_000);
                let is_two = kernels.kernels[0].constants.contains(&("OUTPUTS", "2u".into()));
                let error = largest(got.iter().zip(&exact).map(|(a, b)| a - b)) / unit;
                let bound = ERROR[usize::from(!is_two)];
                assert!(error <= bound, "{pass:?} of {g:?}, {}: {error} of {bound}", if is_two { 2 } else { 4 });
            }
        }
    }
}

#[test]
fn eights_agree_with_the_reference() {
    let Some(cpu) = device(Disable::default()).filter(has_eights) else { return };
    let list = [
        // Groups of eight throughout, wide runs and tall ones; the second and third in parts of the batch.
        (1 << 30, geometry([1, 16, 24], [9, 32], [3, 3], [1, 1], [1, 1], [1, 1])),
        (120_000, geometry([1, 24, 16], [8, 8], [3, 3], [1, 1], [1, 1], [1, 1])),
        (120_000, geometry([2, 16, 17], [11, 10], [3, 3], [1, 1], [0, 2], [1, 1])),
        // Paddings that suit no groups of eight.
        (1 << 30, geometry([1, 16, 16], [6, 8], [3, 3], [1, 1], [3, 4], [1, 1])),
        // Enough channels for a product of eight columns a lane, in parts of the batch.
        (1_200_000, geometry([1, 512, 16], [8, 8], [3, 3], [1, 1], [1, 1], [1, 1])),
    ];
    for (i, (bytes, g)) in list.iter().enumerate() {
        for dtype in if i % 2 == 0 { &[DType::F32][..] } else { &[DType::F32, DType::F16] } {
            // With more padding than the taps reach, it is not the gradient of such a convolution.
            let passes = if g.padding[0] > 2 { &[Pass::Forward, Pass::BackwardFilter][..] } else { &PASSES };
            agree(&cpu, (passes, g), (3, *dtype), Limits::bytes(*bytes), |_, kernels| is_eights(kernels));
        }
    }
}

/// Whole numbers as large as they may be, of one sign and of both, by Winograd's algorithm.
#[test]
fn whole_numbers_are_exact() {
    let Some(cpu) = device(Disable::default()).filter(has_eights) else { return };
    let g = geometry([1, 56, 32], [16, 16], [3, 3], [1, 1], [1, 1], [1, 1]);
    let random = |count: usize, seed: u32, most: f32, share: f32| -> Vec<f32> {
        random(count, seed).iter().map(|&at| if at < share { most } else { (most * at).round() }).collect()
    };
    // 9 x 56 x 255 x 128 is 2^24 - 326,656.
    for (share, most) in [(2.0, [255.0, 128.0]), (2.0, [255.0, -128.0]), (-0.4, [255.0, 127.0]), (-2.0, [255.0, 127.0])]
    {
        let (image, weight) = (random(56 * 256, 3, most[0], share), random(32 * 56 * 9, 5, most[1], share));
        let exact = [&image, &weight].map(|values| values.iter().map(|&value| value.into()).collect::<Vec<f64>>());
        let mut expected = vec![0.0; 32 * 256];
        super::reference::compute(Pass::Forward, &g, 1, &exact[0], &exact[1], &mut expected);
        let image = Tensor::from_slice(&cpu, &image, &[1, 56, 16, 16]).unwrap();
        let weight = Tensor::from_slice(&cpu, &weight, &[32, 56, 3, 3]).unwrap();
        assert_eq!(convolve_whole(g, &image, &weight).unwrap().to_f64().unwrap(), expected, "{share} {most:?}");
    }
    let convolution = Convolution { pass: Pass::Forward, geometry: g, whole: true };
    let layouts =
        [[1, 56, 16, 16], [32, 56, 3, 3]].map(|sizes| Layout::contiguous(Shape::new(&sizes).unwrap(), DType::F32));
    let outputs = convolution.outputs(&layouts).unwrap();
    let io = Io { inputs: &layouts, outputs: &outputs, budget: Budget::default() };
    assert!(is_eights(&convolution.kernels(&io, cpu.adapter().unwrap()).unwrap()));
}

#[test]
fn products_of_images_are_added_up() {
    let Some(cpu) = device(Disable::default()).filter(has_eights) else { return };
    let is_product = |kernels: &Kernels| kernels.kernels[0].name == "matmul_shuffle";
    for (batch, channels) in [(35, [40, 36]), (2, [33, 9])] {
        let g = geometry([1, channels[0], channels[1]], [3, 5], [1, 1], [1, 1], [0, 0], [1, 1]);
        for dtype in [DType::F32, DType::F16] {
            agree(&cpu, (&[Pass::BackwardFilter], &g), (batch, dtype), Limits::bytes(1 << 30), |_, kernels| {
                is_product(kernels)
            });
        }
    }
}

#[test]
fn eights_keep_their_bound() {
    let Some(cpu) = device(Disable::default()).filter(has_eights) else { return };
    for (channels, side) in [([16, 16], 32), ([128, 16], 8), ([24, 64], 16), ([64, 64], 4)] {
        let g = geometry([1, channels[0], channels[1]], [side; 2], [3, 3], [1, 1], [1, 1], [1, 1]);
        for pass in PASSES {
            const BATCH: usize = 8;
            let [.., depth] = product(pass, &g);
            let terms = if pass == Pass::BackwardFilter { BATCH * depth } else { depth };
            let (results, exact) =
                results(&cpu, (pass, &g), (BATCH, DType::F32), Limits::bytes(1 << 30), |_, kernels| is_eights(kernels));
            assert_eq!(results.len(), 1);
            let error = largest(results[0].1.iter().zip(&exact).map(|(a, b)| a - b));
            let epsilons = error / (f64::from(f32::EPSILON) * largest(exact.iter().copied()));
            assert!(epsilons <= ERROR[1] * (terms as f64).sqrt(), "{pass:?} of {g:?}: {epsilons} of {terms} terms");
        }
    }
}

#[test]
fn eights_are_chosen_where_they_pay() {
    let chosen = |channels: usize, size: usize, disable: Disable, launches: usize| {
        let noop = Some(Noop { software: true, ..Noop::default() });
        let device = Device::with_options(&DeviceOptions::default().noop(noop).disable(disable)).unwrap();
        let g = geometry([1, channels, channels], [size; 2], [3, 3], [1, 1], [1, 1], [1, 1]);
        let image = Layout::contiguous(Shape::new(&[32, channels, size, size]).unwrap(), DType::F32);
        let weight = Layout::contiguous(Shape::new(&[channels, channels, 3, 3]).unwrap(), DType::F32);
        let names = PASSES.map(|pass| {
            let convolution = Convolution { pass, geometry: g, whole: false };
            let layouts = if pass == Pass::BackwardFilter { [image, image] } else { [image, weight] };
            let outputs = convolution.outputs(&layouts).unwrap();
            let io = Io { inputs: &layouts, outputs: &outputs, budget: Budget { launches, ..Budget::default() } };
            let kernels = convolution.kernels(&io, device.adapter().unwrap()).unwrap();
            assert!(kernels.kernels.len() <= launches);
            kernels.kernels.last().unwrap().name
        });
        let [output, _, filter] = names;
        assert_eq!(names[1], if output == "conv2d_strips" { "conv2d_backward_data_strips" } else { output });
        [output, filter]
    };
    let first = |channels, size, disable| chosen(channels, size, disable, usize::MAX);
    let eights = ["conv2d_winograd_output_eights", "conv2d_winograd_backward_filter_eights"];
    assert_eq!(first(64, 32, Disable::default()), eights);
    assert_eq!(first(32, 16, Disable::default()), eights);
    // A plane of four rows and columns is one tile, and seven are past it.
    assert_eq!(first(64, 4, Disable::default())[0], "conv2d_strips");
    assert_eq!(first(8, 32, Disable::default())[0], "conv2d_strips");
    assert_eq!(first(64, 32, Disable { winograd: true, ..Disable::default() })[0], "conv2d_strips");
    assert_eq!(first(64, 32, Disable { int64: true, ..Disable::default() })[0], "conv2d_strips");
    // Two parts, one that is larger than the cache, and none.
    assert_eq!(chosen(64, 16, Disable::default(), 7), eights);
    assert_eq!(chosen(64, 16, Disable::default(), 4), eights);
    assert_eq!(chosen(64, 16, Disable::default(), 3)[0], "conv2d_strips");
    assert_eq!(chosen(64, 32, Disable::default(), 7)[0], "conv2d_strips");
}

#[test]
fn winograd_can_be_switched_off() {
    let g = geometry([1, 128, 128], [32, 32], [3, 3], [1, 1], [1, 1], [1, 1]);
    let first = |winograd: bool| {
        let noop = Some(Noop { software: false, ..Noop::default() });
        let disable = Disable { winograd, ..Disable::default() };
        let device = Device::with_options(&DeviceOptions::default().noop(noop).disable(disable)).unwrap();
        let layouts = [[64, 128, 32, 32], [128, 128, 3, 3]]
            .map(|sizes| Layout::contiguous(Shape::new(&sizes).unwrap(), DType::F32));
        let convolution = Convolution { pass: Pass::Forward, geometry: g, whole: false };
        let outputs = convolution.outputs(&layouts).unwrap();
        let io = Io { inputs: &layouts, outputs: &outputs, budget: Budget::default() };
        let candidates = convolution.candidates(&io, device.adapter().unwrap()).unwrap();
        let kernels = candidates.iter().flat_map(|candidate| &candidate.kernels);
        (candidates[0].kernels[0].name, kernels.filter(|kernel| kernel.name.contains("winograd")).count())
    };
    assert_eq!(first(false).0, "conv2d_winograd_spread");
    assert_eq!(first(true), ("conv2d_tiled", 0));
}

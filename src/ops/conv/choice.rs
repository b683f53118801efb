//! The cost model that chooses the method of computing a convolution.
//!
//! On a CPU every method's own file says what was measured. On a GPU a method costs what its multiply-adds and its traffic
//! do, in units of the time of one multiply-add, by the adapter's [`Roofline`](crate::custom::Roofline) and the instructions
//! that Mesa's compiler makes for navi21.
//! The batch is taken as [`BATCH`], whatever it is, so that a shorter last batch compiles nothing.

use super::call::Call;
use super::tiled::{Tile, product, tiles};
use super::tiles::{Target, Tiles};
use super::winograd::{self, OUTPUTS};
use super::{Geometry, Pass};
use crate::device::AdapterProfile;
use crate::number::nearest;

/// A method of computing a pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Method {
    /// A product of the weight and each image, whose positions see one pixel each.
    Product,
    /// Strips of positions in registers.
    Strips(Tiles),
    /// Strips of positions in registers, some taps at a time.
    Blocks,
    /// A sliding window of this many columns over one channel.
    Depthwise(usize),
    /// A matrix product with tiles in workgroup memory.
    Tiled(Tile),
    /// The convolution of the pass, by Winograd's algorithm with tiles of `outputs`^2 results.
    Winograd { geometry: Geometry, outputs: usize, tile: Tile },
    /// The same on software adapters, with tiles of 4 x 4.
    WinogradEights,
}

/// Images for which costs are compared.
const BATCH: f64 = 32.0;

/// With fewer channels in a group than this, Winograd's tiles are all traffic.
const FEWEST_CHANNELS: usize = 16;

/// Every method that can compute the call, the cheapest first.
pub(super) fn methods(call: &Call) -> Vec<Method> {
    let window = call.window().map(Method::Depthwise);
    if call.target() != Target::Gpu || call.batch == 0 {
        let product = call.is_product().then_some(Method::Product);
        return window.into_iter().chain(product).chain(on_cpu(call)).collect();
    }
    let g = call.geometry;
    let mut methods: Vec<(f64, Method)> = tiles(call.adapter)
        .iter()
        .map(|tile| (tiled(&call.adapter.profile, call.pass, g, tile, BATCH), Method::Tiled(*tile)))
        .collect();
    methods.push((strips(call, g), general(call)));
    let is_off = call.whole || call.adapter.disable.winograd || has_few_channels(g);
    if let Some(geometry) = winograd::convolution(call.pass, g).filter(|_| !is_off) {
        methods.extend(OUTPUTS.map(|outputs| transformed(call, geometry, outputs)));
    }
    methods.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    window.into_iter().chain(methods.into_iter().map(|(_, method)| method)).collect()
}

/// The general methods of a CPU. The gradient of the weight by strips takes a quarter longer for its multiply-adds.
fn on_cpu(call: &Call) -> Vec<Method> {
    let g = call.geometry;
    let [rows, columns, depth] = product(call.pass, g).map(|size| size as f64);
    let factor = if call.pass == Pass::BackwardFilter { 1.25 } else { 1.0 };
    let strips = factor * g.groups as f64 * rows * columns * depth;
    let has_eights = call.target() == Target::Shuffle && call.adapter.profile.u64_pairs;
    let is_off = call.batch == 0 || !has_eights || call.adapter.disable.winograd || has_few_channels(g);
    let cost = if is_off { None } else { call.cost_of_eights(nearest::<usize>(BATCH)) };
    match cost {
        Some(cost) if cost < strips => vec![Method::WinogradEights, general(call)],
        Some(_) => vec![general(call), Method::WinogradEights],
        None => vec![general(call)],
    }
}

/// A method that computes any convolution: strips, unless they are too long to be unrolled.
fn general(call: &Call) -> Method {
    call.tiles(call.budget.dynamic).map_or(Method::Blocks, Method::Strips)
}

/// True if Winograd's tiles would be all traffic.
fn has_few_channels(g: &Geometry) -> bool {
    g.in_per_group.min(g.out_per_group) < FEWEST_CHANNELS
}

/// Multiply-adds of the tiles for this many images, including parts past the edges, and the instructions around them.
fn tiled(profile: &AdapterProfile, pass: Pass, g: &Geometry, tile: &Tile, images: f64) -> f64 {
    let [rows, columns, depth] = product(pass, g).map(|size| size as f64);
    let whole = |channels: usize| (channels.div_ceil(tile.depth) * tile.depth) as f64 / channels.max(1) as f64;
    // The batch makes columns of the product, or terms of its sums, and those are split over workgroups.
    let (columns, depth, splits) = match pass {
        Pass::Forward => (columns * images, depth * whole(g.in_per_group), 1.0),
        Pass::BackwardData => (columns * images, depth * whole(g.out_per_group), 1.0),
        Pass::BackwardFilter => (columns, depth * images, f64::INFINITY),
    };
    let groups = g.groups as f64 * (rows / tile.rows() as f64).ceil() * (columns / tile.columns() as f64).ceil();
    // Workgroups as large as the largest tile's.
    let busy = profile.groups_to_fill(256) as f64;
    let filled = if groups * splits < busy { busy } else { groups };
    let [down, across] = tile.block().map(|side| side as f64);
    filled * (tile.rows() * tile.columns()) as f64 * depth * (1.0 + 1.1 / down + 1.1 / across)
}

/// Multiply-adds and loads; each number loaded serves a few channels or positions.
fn strips(call: &Call, g: &Geometry) -> f64 {
    let load = call.adapter.profile.roofline.cached_word();
    let [rows, columns, depth] = product(call.pass, g).map(|size| size as f64);
    g.groups as f64 * BATCH * rows * columns * depth * (1.0 + load / 4.0 + load / rows.min(8.0))
}

/// The products by their best tile, the traffic of the transforms' reads and writes, and three kernels for each part of the
/// batch.
fn transformed(call: &Call, geometry: Geometry, outputs: usize) -> (f64, Method) {
    let spread = winograd::products(&geometry, outputs);
    // Operands that can't be bound are refused when the kernels are made.
    let images = call.images(winograd::bytes(&spread), call.budget.bytes).unwrap_or(1);
    let parts = if images < call.batch { (BATCH / images as f64).max(1.0) } else { 1.0 };
    let cost = |tile: &Tile| parts * tiled(&call.adapter.profile, Pass::Forward, &spread, tile, BATCH / parts);
    let tiles = tiles(call.adapter);
    let best = tiles.iter().map(|tile| (cost(tile), *tile)).min_by(|a, b| a.0.total_cmp(&b.0));
    let (products, tile) = best.unwrap_or((f64::INFINITY, tiles[0]));
    let g = &geometry;
    let planes = |channels: usize, size: [usize; 2]| (g.groups * channels * size[0] * size[1]) as f64;
    let spread_planes = |channels: usize| (spread.groups * channels * spread.input[1]) as f64;
    let words = planes(g.in_per_group, g.input)
        + planes(g.out_per_group, g.output)
        + 2.0 * spread_planes(g.in_per_group)
        + 2.0 * spread_planes(g.out_per_group);
    let roofline = &call.adapter.profile.roofline;
    let cost = products + roofline.word() * words * BATCH + 3.0 * parts * roofline.launch();
    (cost, Method::Winograd { geometry, outputs, tile })
}

//! Sampling at positions that are data: taps along each dimension, multiplied out, gathered and added up.
//!
//! It is entirely composed: the gradient of the input is that of a gather, which adds in a fixed order.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::options::options;
use crate::shape::Shape;

const OP: &str = "grid_sample";

/// Interpolation of [`Tensor::grid_sample`] between the elements around a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GridSampleMode {
    /// Linear, between two neighbours a dimension.
    #[default]
    Bilinear,
    /// The nearest element; between two, the even one.
    Nearest,
    /// Cubic convolution over four neighbours a dimension.
    Bicubic,
}

/// Values past the edges, for [`Tensor::grid_sample`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GridSamplePadding {
    /// Zeros.
    #[default]
    Zeros,
    /// The value at the edge.
    Border,
    /// The image mirrored, repeatedly.
    Reflection,
}

options! {
    /// The options of [`Tensor::grid_sample`], with PyTorch's names and defaults.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    GridSampleOptions {
        /// Interpolation between elements.
        mode: GridSampleMode = GridSampleMode::default(),
        /// Values past the edges.
        padding_mode: GridSamplePadding = GridSamplePadding::default(),
        /// Takes -1 and 1 as the centres of the corner elements, instead of their outer edges.
        align_corners: bool = false,
    }
}

/// The taps along one dimension, `[N, T, P]` for `P` positions.
struct Taps {
    /// Indices, within the dimension.
    places: Tensor,
    weights: Tensor,
    /// True for an index that is inside, if some may not be.
    inside: Option<Tensor>,
}

/// Weights of the taps as polynomials of the fraction: a row for each power, the highest first.
const LINEAR: &[&[f32]] = &[&[-1.0, 1.0], &[1.0, 0.0]];
/// Keys' cubic convolution with a = -3/4, at distances 1 + t, t, 1 - t and 2 - t.
const CUBIC: &[&[f32]] =
    &[&[-0.75, 1.25, -1.25, 0.75], &[1.5, -2.25, 1.5, -0.75], &[-0.75, 0.0, 0.75, 0.0], &[0.0, 1.0, 0.0, 0.0]];

impl GridSampleOptions {
    /// Mirrored at the edges until it is between them.
    #[track_caller]
    fn reflect(&self, x: &Tensor, size: usize) -> Result<Tensor> {
        let (low, span) = if self.align_corners { (0.0, size as f64 - 1.0) } else { (-0.5, size as f64) };
        if span == 0.0 {
            return x * 0.0;
        }
        let distance = (x - low)?.abs()?;
        let flips = (distance.detach() / span)?.floor()?;
        let is_odd = (&flips - (&flips * 0.5)?.floor()? * 2.0)?.ne_scalar(0.0)?;
        let extra = distance.fmod_scalar(span)?;
        is_odd.where_(&(span - &extra)?, &extra)? + low
    }

    /// An index within the dimension, by the padding; NaN becomes an edge, the first in images and the last in volumes, as in
    /// PyTorch.
    #[track_caller]
    fn pad(&self, x: &Tensor, size: usize, volume: bool) -> Result<Tensor> {
        let last = size as f64 - 1.0;
        let x = if self.padding_mode == GridSamplePadding::Reflection { self.reflect(x, size)? } else { x.clone() };
        let x = x.isnan()?.where_(&x.number(if volume { last } else { 0.0 })?, &x)?;
        x.clamp(Some(0.0), Some(last))
    }

    /// The taps of positions `x` (`[N, 1, P]`, between -1 and 1) along a dimension.
    fn taps(&self, x: &Tensor, size: usize, volume: bool) -> Result<Taps> {
        let x = if self.align_corners {
            (((x + 1.0)? * 0.5)? * (size as f64 - 1.0))?
        } else {
            ((((x + 1.0)? * size as f64)? - 1.0)? * 0.5)?
        };
        let zeros = self.padding_mode == GridSamplePadding::Zeros;
        let x = if zeros || self.mode == GridSampleMode::Bicubic { x } else { self.pad(&x, size, volume)? };
        let row = |values: &[f32]| Tensor::from_slice(x.device(), values, &[1, values.len(), 1]);
        let (places, weights) = if self.mode == GridSampleMode::Nearest {
            // The positions have a gradient, and it is 0: a choice that is never made expresses that, even past infinity.
            let one = x.ne(&x)?.logical_and(&x.eq(&x)?)?.where_(&x, &x.number(1.0)?)?;
            (x.detach().round()?, one)
        } else {
            let (offsets, powers): (&[f32], _) = if self.mode == GridSampleMode::Bicubic {
                (&[-1.0, 0.0, 1.0, 2.0], CUBIC)
            } else {
                (&[0.0, 1.0], LINEAR)
            };
            let base = x.detach().floor()?;
            let part = (&x - &base)?;
            let mut weights = row(powers[0])?;
            for power in &powers[1..] {
                weights = (&weights * &part + row(power)?)?;
            }
            ((&base + row(offsets)?)?, weights)
        };
        let last = size as f64 - 1.0;
        if zeros {
            let inside = places.ge_scalar(0.0)?.logical_and(&places.le_scalar(last)?)?;
            let places = inside.where_(&places, &places.number(0.0)?)?;
            return Ok(Taps { places, weights, inside: Some(inside) });
        }
        // A second neighbour past the edge has the weight 0; taps of a cubic are padded one by one.
        let places = if self.mode == GridSampleMode::Bicubic {
            self.pad(&places, size, volume)?
        } else {
            places.clamp(None, Some(last))?
        };
        Ok(Taps { places, weights, inside: None })
    }
}

/// Pairs of taps of two dimensions: `[N, S, P]` and `[N, T, P]` become `[N, S T, P]`.
#[track_caller]
fn outer(a: &Tensor, b: &Tensor, combine: fn(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
    combine(&a.unsqueeze(2)?, &b.unsqueeze(1)?)?.flatten(1, 2)
}

impl Tensor {
    /// Values at the positions of a grid, PyTorch's `torch.nn.functional.grid_sample`.
    ///
    /// Input `[N, C, H, W]` with a grid `[N, H', W', 2]` gives `[N, C, H', W']`; `[N, C, D, H, W]` with
    /// `[N, D', H', W', 3]` gives `[N, C, D', H', W']`. The grid's last dimension holds x, y (and z), -1 at the left
    /// and 1 at the right edge of the input. Gradients flow to both; that of the grid is 0 with
    /// [`GridSampleMode::Nearest`].
    ///
    /// # Errors
    /// [`Error::Invalid`] if the shapes don't fit or the input has no elements along a spatial dimension;
    /// [`Error::WrongDType`] for types other than floats, or two types.
    ///
    /// ```
    /// # use wgrad::{Device, GridSampleOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 3.0], &[1, 1, 1, 2])?;
    /// let grid = Tensor::from_slice(&device, &[0.0f32, 0.0, 0.5, 0.0], &[1, 1, 2, 2])?;
    /// assert_eq!(x.grid_sample(&grid, &GridSampleOptions::default())?.to_vec::<f32>()?, [2.0, 3.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn grid_sample(&self, grid: &Tensor, options: &GridSampleOptions) -> Result<Tensor> {
        if let Some(cast) = autocast::enter(OP)? {
            let (input, grid) = cast.both(self, grid)?;
            return input.grid_sample(&grid, options);
        }
        let _line = ascribe_to_caller();
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op: OP, expected: "floats", got: self.dtype() });
        }
        if grid.dtype() != self.dtype() {
            return Err(Error::WrongDType { op: OP, expected: "a grid of the input's type", got: grid.dtype() });
        }
        if self.dtype() == DType::F16 {
            let (input, grid) = (self.to_dtype(DType::F32)?, grid.to_dtype(DType::F32)?);
            return input.grid_sample(&grid, options)?.to_dtype(DType::F16);
        }
        let (shape, places) = (*self.shape(), *grid.shape());
        let rank = shape.len();
        let fits =
            (4..=5).contains(&rank) && places.len() == rank && places[0] == shape[0] && places[rank - 1] == rank - 2;
        if !fits || shape[2..].contains(&0) {
            let rule = format!(
                "input {shape} and grid {places} must be [N, C, H, W] and [N, H', W', 2], or [N, C, D, H, W] and \
                 [N, D', H', W', 3], and the input must not be empty but for batch and channels"
            );
            return Err(Error::invalid(OP, rule));
        }
        if shape[2..].iter().any(|&size| size > 1 << 24) {
            return Err(Error::invalid(OP, format!("f32 counts no more than 2^24 places; got {shape}")));
        }
        let (batch, channels) = (shape[0], shape[1]);
        let count: usize = places[1..rank - 1].iter().product();
        let output = Shape::new(&[&shape[..2], &places[1..rank - 1]].concat())?;
        if output.numel() == 0 {
            return self.reshape(&[self.numel() as isize])?.narrow(0, 0, 0)?.reshape_to(output);
        }
        let grid = grid.reshape(&[batch as isize, count as isize, rank as isize - 2])?;
        let sizes = &shape[2..];
        let mut joint: Option<Taps> = None;
        for (d, &size) in sizes.iter().enumerate() {
            let x = grid.narrow(2, sizes.len() - 1 - d, 1)?.reshape(&[batch as isize, 1, count as isize])?;
            let taps = options.taps(&x, size, rank == 5)?;
            let places = taps.places.to_dtype(DType::I32)?;
            joint = Some(match joint {
                None => Taps { places, ..taps },
                Some(before) => Taps {
                    places: outer(&(&before.places * size as f64)?, &places, Tensor::add)?,
                    weights: outer(&before.weights, &taps.weights, Tensor::mul)?,
                    inside: match (before.inside, taps.inside) {
                        (Some(a), Some(b)) => Some(outer(&a, &b, Tensor::logical_and)?),
                        _ => None,
                    },
                },
            });
        }
        let Some(Taps { places, weights, inside }) = joint else {
            return Err(Error::Internal { op: OP, reason: "no dimensions".into() });
        };
        let taps = places.shape()[1];
        let flat = |t: &Tensor| t.reshape(&[batch as isize, 1, (taps * count) as isize]);
        let index = flat(&places)?.expand(&[batch as isize, channels as isize, (taps * count) as isize])?;
        let mut picked = self.flatten(2, -1)?.gather_as(OP, 2, &index)?;
        let mut weights = flat(&weights)?;
        if let Some(inside) = inside {
            let inside = flat(&inside)?;
            picked = inside.where_(&picked, &picked.number(0.0)?)?;
            // As in PyTorch: a NaN position gives NaN in two dimensions, and 0 in three.
            if rank == 5 {
                weights = inside.where_(&weights, &weights.number(0.0)?)?;
            }
        }
        let weighed = (&picked * &weights)?;
        let sum = weighed.reshape(&[batch as isize, channels as isize, taps as isize, count as isize])?.sum(2)?;
        sum.reshape_to(output)
    }
}

/// Positions on an element, between two of them or at an edge, in dimensions of 1, 2, 4 or 5: the slopes change there.
const KINKS: &[f64] = &[
    -1.4,
    -4.0 / 3.0,
    -1.25,
    -1.2,
    -1.0,
    -0.8,
    -0.75,
    -2.0 / 3.0,
    -0.6,
    -0.5,
    -0.4,
    -1.0 / 3.0,
    -0.25,
    -0.2,
    0.0,
    0.2,
    0.25,
    1.0 / 3.0,
    0.4,
    0.5,
    0.6,
    2.0 / 3.0,
    0.75,
    0.8,
    1.0,
    1.2,
    1.25,
    4.0 / 3.0,
    1.4,
];

pub(super) fn cases() -> Vec<Case> {
    use GridSampleMode::{Bicubic, Bilinear, Nearest};
    use GridSamplePadding::{Border, Reflection, Zeros};
    let between = |case: Case| {
        let mut case = case.domain(1, -1.4, 1.4);
        case.inputs[1].kinks = KINKS;
        case
    };
    let case = |input: &[usize], grid: &[usize], mode, padding_mode, align_corners| {
        let options = GridSampleOptions { mode, padding_mode, align_corners };
        let case = Case::new(OP, &[input, grid], move |x| Ok(vec![x[0].grid_sample(&x[1], &options)?]));
        between(case.options(&options))
    };
    let through_view = |x: &[Tensor]| {
        let (input, grid) = (x[0].permute([0, 3, 1, 2])?, x[1].permute([0, 2, 3, 1])?);
        Ok(vec![input.grid_sample(&grid, &GridSampleOptions::default())?])
    };
    let half = |x: &[Tensor]| {
        let [input, grid] = [&x[0], &x[1]].map(|t| t.to_dtype(DType::F16));
        Ok(vec![input?.grid_sample(&grid?, &GridSampleOptions::default())?])
    };
    vec![
        case(&[2, 3, 4, 5], &[2, 3, 2, 2], Bilinear, Zeros, false),
        case(&[1, 2, 4, 5], &[1, 2, 5, 2], Bilinear, Border, true),
        case(&[1, 2, 5, 4], &[1, 2, 3, 2], Bilinear, Reflection, false),
        case(&[1, 1, 1, 4], &[1, 2, 3, 2], Bilinear, Reflection, true),
        case(&[2, 1, 2, 4], &[2, 2, 3, 2], Nearest, Zeros, false),
        case(&[1, 2, 5, 4], &[1, 2, 3, 2], Nearest, Reflection, true),
        case(&[1, 2, 4, 5], &[1, 2, 3, 2], Bicubic, Zeros, false),
        case(&[1, 2, 4, 5], &[1, 2, 2, 2], Bicubic, Border, true),
        case(&[1, 1, 4, 2], &[1, 2, 2, 2], Bicubic, Reflection, false),
        case(&[1, 2, 4, 2, 5], &[1, 1, 2, 2, 3], Bilinear, Zeros, true),
        case(&[1, 1, 2, 4, 2], &[1, 2, 1, 2, 3], Nearest, Border, false),
        case(&[0, 2, 3, 4], &[0, 2, 3, 2], Bilinear, Zeros, false),
        case(&[1, 2, 3, 4], &[1, 0, 3, 2], Bilinear, Zeros, false),
        between(Case::new(OP, &[&[2, 4, 5, 3], &[2, 2, 3, 2]], through_view)),
        between(Case::new(OP, &[&[1, 2, 4, 5], &[1, 3, 2, 2]], half)).half(),
    ]
}

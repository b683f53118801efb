//! Interpolation over the spatial dimensions, one dimension after the other.

use super::taps::{Rule, Taps};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, Window, seen_through};
use crate::number::nearest;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::options::options;
use crate::shape::{Layout, Shape};
use std::sync::Arc;

const OP: &str = "interpolate";

/// Interpolation of [`Tensor::interpolate`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InterpolateMode {
    /// The element at `floor(position)`, with positions counted from the elements' edges.
    #[default]
    Nearest,
    /// The element whose centre is nearest.
    NearestExact,
    /// Linear between two neighbours, for `[N, C, L]`.
    Linear,
    /// The same in two dimensions, for `[N, C, H, W]`.
    Bilinear,
    /// The same in three dimensions, for `[N, C, D, H, W]`.
    Trilinear,
    /// Cubic convolution over four neighbours a dimension, for `[N, C, H, W]`.
    Bicubic,
    /// The mean over the area of the new element.
    Area,
    /// A windowed sinc over six neighbours a dimension, for `[N, C, H, W]`; only with `antialias`.
    Lanczos,
}

options! {
    /// The arguments of [`Tensor::interpolate`], with PyTorch's names and defaults. One of `size` and `scale_factor` must
    /// be given, a number for each spatial dimension.
    #[derive(Clone, Debug, PartialEq)]
    InterpolateOptions {
        /// The new sizes.
        size: Option<Vec<usize>> = None,
        /// Factors of the old sizes; the product is rounded down.
        scale_factor: Option<Vec<f64>> = None,
        /// Interpolation between elements.
        mode: InterpolateMode = InterpolateMode::default(),
        /// Keeps the centres of the corner elements in place, instead of their outer edges; for the linear and
        /// cubic modes only.
        align_corners: Option<bool> = None,
        /// Computes positions from the ratio of the sizes even if a `scale_factor` is given.
        recompute_scale_factor: Option<bool> = None,
        /// Widens the filter as the image shrinks; for bilinear, bicubic and lanczos.
        antialias: bool = false,
    }
}

impl InterpolateOptions {
    /// New sizes of the spatial dimensions, by PyTorch's rules, or an error.
    fn sizes(&self, shape: &Shape) -> Result<Vec<usize>> {
        let invalid = |rule: String| Err(Error::invalid(OP, rule));
        let fits = match self.mode {
            InterpolateMode::Linear => shape.len() == 3,
            InterpolateMode::Bilinear | InterpolateMode::Bicubic | InterpolateMode::Lanczos => shape.len() == 4,
            InterpolateMode::Trilinear => shape.len() == 5,
            _ => (3..=5).contains(&shape.len()),
        };
        if !fits {
            return invalid(format!("mode {:?} does not take {shape}", self.mode));
        }
        let plain = matches!(self.mode, InterpolateMode::Nearest | InterpolateMode::NearestExact);
        let area = self.mode == InterpolateMode::Area;
        if self.align_corners.is_some() && (plain || area) {
            return invalid(format!("mode {:?} has no align_corners", self.mode));
        }
        let lanczos = self.mode == InterpolateMode::Lanczos;
        if lanczos && (!self.antialias || self.align_corners == Some(true)) {
            return invalid("mode Lanczos needs antialias, and has no align_corners".into());
        }
        if self.antialias && !(lanczos || matches!(self.mode, InterpolateMode::Bilinear | InterpolateMode::Bicubic)) {
            return invalid(format!("mode {:?} has no antialias", self.mode));
        }
        let spatial = &shape[2..];
        let given = match (&self.size, &self.scale_factor) {
            (Some(size), None) if self.recompute_scale_factor == Some(true) => {
                return invalid(format!("there is no scale factor to recompute with size {size:?}"));
            }
            (Some(size), None) => size.clone(),
            (None, Some(factors)) => {
                let scaled = |(&size, &factor): (&usize, &f64)| size as f64 * factor;
                let sizes: Vec<f64> = spatial.iter().zip(factors).map(scaled).collect();
                if sizes.iter().any(|size| !(0.0..=f64::from(u32::MAX)).contains(size)) {
                    return invalid(format!("scale_factor {factors:?} makes {sizes:?} of {spatial:?}"));
                }
                // Too many or too few factors are found below.
                let missing = factors.len().saturating_sub(sizes.len());
                sizes.into_iter().map(nearest::<usize>).chain(vec![0; missing]).collect()
            }
            _ => return invalid("one of size and scale_factor must be given, and not both".into()),
        };
        if given.len() != spatial.len() {
            let rule =
                format!("{} spatial dimensions of {shape} need as many sizes, not {}", spatial.len(), given.len());
            return invalid(rule);
        }
        let empty = spatial.contains(&0) || (!area && (shape[1] == 0 || given.contains(&0)));
        if empty {
            return invalid(format!("only the batch may be empty; got {shape} and a new size of {given:?}"));
        }
        Ok(given)
    }
}

impl Tensor {
    /// The spatial dimensions resized, PyTorch's `torch.nn.functional.interpolate`.
    ///
    /// `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; each new element is a weighted sum of old ones along each dimension.
    /// Positions and weights depend on the sizes alone and are computed on the host. With a `scale_factor` `s`, positions advance
    /// in steps of `1 / s`, unless `recompute_scale_factor` is set.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a mode does not fit the rank or an option does not fit the mode, if not exactly one
    /// of `size` and `scale_factor` is given, if it does not hold a number for each spatial dimension, and if a
    /// dimension other than the batch is or becomes empty; [`Error::WrongDType`] for types other than floats;
    /// [`Error::TooLarge`].
    ///
    /// ```
    /// # use wgrad::{Device, InterpolateMode, InterpolateOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[0.0f32, 4.0], &[1, 1, 2])?;
    /// let nearest = x.interpolate(&InterpolateOptions::default().scale_factor([2.0]).mode(InterpolateMode::Nearest))?;
    /// assert_eq!(nearest.to_vec::<f32>()?, [0.0, 0.0, 4.0, 4.0]);
    /// let linear = x.interpolate(&InterpolateOptions::default().size([4]).mode(InterpolateMode::Linear))?;
    /// assert_eq!(linear.to_vec::<f32>()?, [0.0, 1.0, 3.0, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn interpolate(&self, options: &InterpolateOptions) -> Result<Tensor> {
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.interpolate(options);
        }
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op: OP, expected: "floats", got: self.dtype() });
        }
        let shape = *self.shape();
        let sizes = options.sizes(&shape)?;
        let made = Shape::new(&[&shape[..2], &sizes].concat())?;
        self.device().check_size(OP, &Layout::contiguous(made, self.dtype()))?;
        if made.numel() == 0 {
            let empty = if shape.numel() == 0 { self.clone() } else { self.narrow(2, 0, 0)? };
            return empty.reshape_to(made);
        }
        let by_ratio = options.recompute_scale_factor == Some(true);
        let factors = options.scale_factor.as_ref().filter(|_| !by_ratio);
        // The dimension that shrinks most comes first: it leaves less for the others.
        let mut dims: Vec<usize> = (0..sizes.len()).collect();
        dims.sort_by(|&a, &b| (sizes[a] * shape[2 + b]).cmp(&(sizes[b] * shape[2 + a])));
        let tables: Vec<(usize, Taps)> = dims
            .into_iter()
            .map(|d| {
                let (input, output) = (shape[2 + d], sizes[d]);
                // PyTorch's nearest mode uses the sizes here, not the factor, but for images only.
                let by_sizes = options.mode == InterpolateMode::Nearest && sizes.len() == 2;
                let by_sizes = by_sizes && (output == input || output == 2 * input);
                let rule = Rule {
                    mode: options.mode,
                    input,
                    output,
                    align_corners: options.align_corners == Some(true),
                    scale_factor: factors.filter(|_| !by_sizes).map(|factors| factors[d]),
                    antialias: options.antialias,
                };
                (2 + d, rule.taps())
            })
            .filter(|(_, taps)| !taps.is_identity())
            .collect();
        let scales: Vec<(usize, usize)> = sizes.iter().enumerate().map(|(d, &to)| (shape[2 + d], to)).collect();
        let mut result = self.clone();
        let last = tables.len().saturating_sub(1);
        for (at, (dim, taps)) in tables.into_iter().enumerate() {
            // Between dimensions, f16 keeps f32's precision.
            let dtype = if at == last { self.dtype() } else { DType::F32 };
            let mut sizes = result.shape().to_vec();
            let three = result.reshape_to(result.shape().around(dim)?)?;
            sizes[dim] = taps.rows();
            result = three.resample(Arc::new(taps), dtype)?.reshape_to(Shape::new(&sizes)?)?;
        }
        let taps = match options.mode {
            InterpolateMode::Nearest | InterpolateMode::NearestExact => 1.0,
            InterpolateMode::Linear | InterpolateMode::Bilinear | InterpolateMode::Trilinear => 2.0,
            InterpolateMode::Bicubic => 4.0,
            InterpolateMode::Lanczos => 6.0,
            InterpolateMode::Area => 0.0,
        };
        // If an image shrinks, taps are further apart, or windows grow.
        let window = |(from, to): (usize, usize)| {
            let stride = from as f64 / to as f64;
            let spread = if options.antialias || options.mode == InterpolateMode::Area { stride.max(1.0) } else { 1.0 };
            Window { size: (f64::max(taps, 1.0) * spread).ceil().max(taps), stride, padding: 0.0 }
        };
        Ok(seen_through(|| scales.into_iter().map(window).collect(), self, result))
    }
}

pub(super) fn cases() -> Vec<Case> {
    use InterpolateMode::{Area, Bicubic, Bilinear, Lanczos, Linear, Nearest, NearestExact, Trilinear};
    let case = |shape: &[usize], options: InterpolateOptions| {
        let named = options.clone();
        Case::new(OP, &[shape], move |x| Ok(vec![x[0].interpolate(&options)?])).options(&named)
    };
    let size = |size: &[usize], mode| InterpolateOptions::default().size(size).mode(mode);
    let scale = |factors: &[f64], mode| InterpolateOptions::default().scale_factor(factors).mode(mode);
    let aligned = |options: InterpolateOptions| InterpolateOptions { align_corners: Some(true), ..options };
    let smoothed = |options: InterpolateOptions| InterpolateOptions { antialias: true, ..options };
    let through_view = |x: &[Tensor]| {
        let view = x[0].permute([0, 3, 1, 2])?.narrow(0, 1, 2)?;
        Ok(vec![view.interpolate(&InterpolateOptions::default().size([3, 7]).mode(InterpolateMode::Bilinear))?])
    };
    let half = |x: &[Tensor]| {
        let options = InterpolateOptions::default().size([7, 3]).mode(InterpolateMode::Bilinear);
        Ok(vec![x[0].to_dtype(DType::F16)?.interpolate(&options)?])
    };
    vec![
        case(&[2, 3, 5], scale(&[2.0], Nearest)),
        case(&[1, 2, 7], size(&[3], Nearest)),
        case(&[2, 1, 5, 3], scale(&[1.7, 0.7], Nearest)),
        case(&[1, 2, 3, 2, 3], size(&[2, 5, 3], Nearest)),
        case(&[2, 3, 5, 1], size(&[3, 4], NearestExact)),
        case(&[1, 2, 5], size(&[11], Linear)),
        case(&[1, 2, 5], aligned(size(&[1], Linear))),
        case(&[0, 3, 4], size(&[3], Linear)),
        case(&[2, 3, 5, 7], size(&[7, 3], Bilinear)),
        case(&[2, 2, 4, 3], aligned(size(&[5, 7], Bilinear))),
        case(&[1, 2, 6, 5], scale(&[1.3, 0.6], Bilinear)),
        case(&[1, 1, 3, 4, 2], size(&[5, 2, 3], Trilinear)),
        case(&[1, 2, 5, 4], size(&[3, 9], Bicubic)),
        case(&[1, 2, 5, 4], aligned(scale(&[2.0, 1.5], Bicubic))),
        case(&[1, 2, 11, 5], smoothed(size(&[3, 7], Bilinear))),
        case(&[1, 2, 11, 5], smoothed(size(&[4, 2], Bicubic))),
        case(&[1, 1, 13, 5], smoothed(size(&[4, 6], Lanczos))),
        case(&[2, 3, 7], size(&[3], Area)),
        case(&[1, 2, 7, 5], size(&[3, 1], Area)),
        case(&[1, 1, 2100], size(&[1], Area)).first_order(),
        case(&[2, 1, 4], size(&[0], Area)),
        Case::new(OP, &[&[3, 4, 5, 2]], through_view),
        Case::new(OP, &[&[2, 3, 5, 4]], half).half(),
    ]
}

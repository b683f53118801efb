//! The same elements in another order: flips, rolls and shuffles.

use crate::dims::Dims;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::case::Case;
use crate::ops::shape::pad::{Map, Mode};
use crate::shape::Shape;

impl Tensor {
    /// Reversed along `dims`: `output[.., i, ..] = self[.., n - 1 - i, ..]`. The shape is unchanged; without dimensions, so is
    /// everything.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`], [`Error::DimRepeated`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2, 3, 4], &[2, 2])?;
    /// assert_eq!(x.flip(1)?.to_vec::<i32>()?, [2, 1, 4, 3]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn flip(&self, dims: impl Dims) -> Result<Tensor> {
        let flipped = self.shape().dims("flip", dims)?;
        let maps: Vec<Map> = (0..self.rank())
            .map(|d| {
                // One element is its own mirror image.
                let moves = flipped.contains(&d) && self.shape()[d] > 1;
                let mode = if moves { Mode::Flip } else { Mode::Constant };
                Map { mode, out: self.shape()[d], before: 0 }
            })
            .collect();
        self.remap("flip", 0, &maps, 0.0)
    }

    /// Rolled by `shifts` along `dims`; elements that leave at one end come in at the other:
    /// `output[.., i, ..] = self[.., (i - shift) mod n, ..]`. The shape is unchanged. Without dimensions, one shift moves the
    /// elements in row-major order.
    ///
    /// Shifts are data: another one needs neither a new plan nor a new kernel.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the numbers of shifts and dimensions differ; [`Error::DimOutOfRange`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2, 3, 4], &[2, 2])?;
    /// assert_eq!(x.roll(&[1], &[])?.to_vec::<i32>()?, [4, 1, 2, 3]);
    /// assert_eq!(x.roll(&[1], &[1])?.to_vec::<i32>()?, [2, 1, 4, 3]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn roll(&self, shifts: &[isize], dims: &[isize]) -> Result<Tensor> {
        const OP: &str = "roll";
        if let (&[_], []) = (shifts, dims) {
            return self.reshape(&[self.numel() as isize])?.roll(shifts, &[0])?.reshape_to(*self.shape());
        }
        if shifts.len() != dims.len() || shifts.is_empty() {
            let rule = format!("{shifts:?} and {dims:?}: each dimension needs one shift");
            return Err(Error::invalid(OP, rule));
        }
        if self.rank() == 0 {
            return Err(Error::DimOutOfRange { op: OP, dim: dims[0], rank: 0 });
        }
        let mut maps: Vec<Map> = self.shape().iter().map(|&out| Map { mode: Mode::Constant, out, before: 0 }).collect();
        for (&shift, &dim) in shifts.iter().zip(dims) {
            let d = self.shape().dim(OP, dim)?;
            let size = self.shape()[d].max(1) as isize;
            maps[d] = Map { mode: Mode::Circular, before: (maps[d].before + shift.rem_euclid(size)) % size, ..maps[d] };
        }
        self.remap(OP, 0, &maps, 0.0)
    }

    /// Channels spread over space: `[.., c r^2, h, w]` becomes `[.., c, h r, w r]`, with
    /// `output[.., k, i r + a, j r + b] = self[.., (k r + a) r + b, i, j]`, for `r` the upscale factor.
    ///
    /// # Errors
    /// [`Error::Invalid`] with fewer than 3 dimensions, if the factor is 0, and if its square does not divide the
    /// channels.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::zeros(&device, &[2, 12, 5, 7])?;
    /// assert_eq!(x.pixel_shuffle(2)?.shape()[..], [2, 3, 10, 14]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn pixel_shuffle(&self, upscale_factor: usize) -> Result<Tensor> {
        let (r, square) = (upscale_factor, upscale_factor.saturating_mul(upscale_factor));
        let (batch, [channels, height, width]) = self.image("pixel_shuffle")?;
        if r == 0 || !channels.is_multiple_of(square) {
            let rule = format!("{channels} channels of {} do not divide by the square of {r}", self.shape());
            return Err(Error::invalid("pixel_shuffle", rule));
        }
        let c = channels / square;
        let outer: usize = batch.iter().product();
        let spread = self.reshape_to(Shape::new(&[outer, c, r, r, height, width])?)?.permute([0, 1, 4, 2, 5, 3])?;
        spread.reshape_to(Shape::new(&[&batch[..], &[c, height * r, width * r]].concat())?)
    }

    /// Space gathered into channels, the inverse of [`pixel_shuffle`](Tensor::pixel_shuffle): `[.., c, h r, w r]` becomes
    /// `[.., c r^2, h, w]`, for `r` the downscale factor.
    ///
    /// # Errors
    /// [`Error::Invalid`] with fewer than 3 dimensions, if the factor is 0, and if it does not divide height and
    /// width.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::zeros(&device, &[2, 3, 10, 14])?;
    /// assert_eq!(x.pixel_unshuffle(2)?.shape()[..], [2, 12, 5, 7]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn pixel_unshuffle(&self, downscale_factor: usize) -> Result<Tensor> {
        let r = downscale_factor;
        let (batch, [c, height, width]) = self.image("pixel_unshuffle")?;
        if r == 0 || !height.is_multiple_of(r) || !width.is_multiple_of(r) {
            let rule = format!("height {height} and width {width} of {} do not divide by {r}", self.shape());
            return Err(Error::invalid("pixel_unshuffle", rule));
        }
        let (h, w) = (height / r, width / r);
        let outer: usize = batch.iter().product();
        let gathered = self.reshape_to(Shape::new(&[outer, c, h, r, w, r])?)?.permute([0, 1, 3, 5, 2, 4])?;
        gathered.reshape_to(Shape::new(&[&batch[..], &[c * r * r, h, w]].concat())?)
    }

    /// Channels of `groups` groups interleaved: in `[n, g c, ..]`, `output[n, k g + i, ..] = self[n, i c + k, ..]`. The shape is
    /// unchanged.
    ///
    /// # Errors
    /// [`Error::Invalid`] with fewer than 3 dimensions and if `groups` is 0 or does not divide the channels.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[0, 1, 2, 3, 4, 5], &[1, 6, 1])?;
    /// assert_eq!(x.channel_shuffle(2)?.to_vec::<i32>()?, [0, 3, 1, 4, 2, 5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn channel_shuffle(&self, groups: usize) -> Result<Tensor> {
        const OP: &str = "channel_shuffle";
        let shape = *self.shape();
        if shape.len() < 3 {
            return Err(Error::invalid(OP, format!("expected at least 3 dimensions, got {shape}")));
        }
        if groups == 0 || !shape[1].is_multiple_of(groups) {
            let rule = format!("{} channels of {shape} do not divide into {groups} groups", shape[1]);
            return Err(Error::invalid(OP, rule));
        }
        let inner: usize = shape[2..].iter().product();
        let grouped = Shape::new(&[shape[0], groups, shape[1] / groups, inner])?;
        self.reshape_to(grouped)?.transpose(1, 2)?.reshape_to(shape)
    }

    /// The outer dimensions, and channels, height and width.
    #[track_caller]
    fn image(&self, op: &'static str) -> Result<(Vec<usize>, [usize; 3])> {
        match self.shape()[..] {
            [ref batch @ .., c, h, w] => Ok((batch.to_vec(), [c, h, w])),
            _ => Err(Error::invalid(op, format!("expected at least 3 dimensions, got {}", self.shape()))),
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for dims in [&[][..], &[0], &[-1], &[0, 2], &[1, 2, 3], &[0, 1, 2, 3]] {
        cases.push(Case::new("flip", &[&[2, 3, 5, 4]], move |x| Ok(vec![x[0].flip(dims)?])).with("dims", dims));
    }
    cases.push(Case::new("flip", &[&[5, 3]], |x| Ok(vec![x[0].t()?.flip(0)?])));
    cases.push(Case::new("flip", &[&[2, 1, 2, 3, 2, 2]], |x| Ok(vec![x[0].flip([0, 1, 3, 5])?])));
    cases.push(Case::new("flip", &[&[3, 0]], |x| Ok(vec![x[0].flip([0, 1])?])));
    cases.push(Case::new("flip", &[&[]], |x| Ok(vec![x[0].flip(0)?])));
    let roll = |shape: &[usize], shifts: &'static [isize], dims: &'static [isize]| {
        Case::new("roll", &[shape], move |x| Ok(vec![x[0].roll(shifts, dims)?]))
            .with("shifts", shifts)
            .with("dims", dims)
    };
    cases.extend([
        roll(&[7], &[3], &[0]),
        roll(&[3, 5], &[-4], &[]),
        roll(&[3, 5], &[13], &[-1]),
        roll(&[2, 3, 5], &[1, -7], &[0, 2]),
        roll(&[2, 3, 5], &[1, 1, 2], &[1, 1, 0]),
        roll(&[2, 3, 2, 3, 2], &[1, 1, 1, 1], &[0, 1, 3, 4]),
        roll(&[3, 5], &[5], &[1]),
        roll(&[3, 0], &[1, 1], &[0, 1]),
        Case::new("roll", &[&[3, 5]], |x| Ok(vec![x[0].roll(&[2], &[1])?])).integers(0, -9, 9).no_gradient(),
    ]);
    for shape in [&[2, 8, 3, 5][..], &[4, 2, 3], &[2, 3, 4, 1, 2], &[0, 4, 2, 2]] {
        cases.push(Case::new("pixel_shuffle", &[shape], |x| Ok(vec![x[0].pixel_shuffle(2)?])));
    }
    cases.push(Case::new("pixel_shuffle", &[&[1, 9, 2, 1]], |x| Ok(vec![x[0].pixel_shuffle(3)?])));
    for shape in [&[2, 2, 4, 6][..], &[3, 2, 4], &[2, 1, 3, 2, 2], &[0, 1, 2, 2]] {
        cases.push(Case::new("pixel_unshuffle", &[shape], |x| Ok(vec![x[0].pixel_unshuffle(2)?])));
    }
    cases.push(Case::new("pixel_unshuffle", &[&[2, 1, 3, 9]], |x| Ok(vec![x[0].pixel_unshuffle(3)?])));
    for (shape, groups) in [(&[2, 6, 3, 2][..], 3), (&[2, 6, 5], 2), (&[1, 4, 2, 1, 3], 4), (&[0, 4, 2], 2)] {
        let run = move |x: &[Tensor]| Ok(vec![x[0].channel_shuffle(groups)?]);
        cases.push(Case::new("channel_shuffle", &[shape], run).with("groups", groups));
    }
    cases
}

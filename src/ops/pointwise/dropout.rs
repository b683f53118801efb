//! Dropout: elements or whole channels set to 0 at random in training, and the rest scaled up.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::number::nearest;
use crate::ops::case::Case;

/// The limit of [`Tensor::selu`] far below 0, with the opposite sign: its scale times its alpha.
const SELU_DEPTH: f64 = 1.758_099_340_847_376_6;

/// The elements that are kept or dropped together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Each {
    Element,
    /// All positions of a channel of a sample.
    Channel,
}

impl Tensor {
    /// In training each element 0 with probability `p`, and otherwise `x / (1 - p)` (Srivastava et al. 2014), which preserves the
    /// mean. Outside of training, the input.
    ///
    /// The random numbers are the device's stream (see [`Device::manual_seed`](crate::Device::manual_seed)); the same elements
    /// are dropped on every adapter and on the reference, and in the backward pass.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `p` is not between 0 and 1; [`Error::WrongDType`] for types other than floats, if anything is drawn.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::ones(&device, &[1000])?;
    /// let y = x.dropout(0.75, true)?.to_vec::<f32>()?;
    /// assert!(y.iter().all(|&y| y == 0.0 || y == 4.0));
    /// assert_eq!(x.dropout(0.75, false)?.to_vec::<f32>()?, [1.0; 1000]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn dropout(&self, p: f64, training: bool) -> Result<Tensor> {
        self.dropped("dropout", p, training, Each::Element, scaled)
    }

    /// [`dropout`](Tensor::dropout) in training, as a part of another operation, which errors name.
    #[track_caller]
    pub(in crate::ops) fn dropout_as(&self, op: &'static str, p: f64) -> Result<Tensor> {
        self.dropped(op, p, true, Each::Element, scaled)
    }

    /// [`dropout`](Tensor::dropout) of whole channels: `[N, C, L]` or `[C, L]`.
    ///
    /// # Errors
    /// As `dropout`; [`Error::Invalid`] for other numbers of dimensions.
    #[track_caller]
    pub fn dropout1d(&self, p: f64, training: bool) -> Result<Tensor> {
        const OP: &str = "dropout1d";
        match self.rank() {
            2 => self.unsqueeze(0)?.dropped(OP, p, training, Each::Channel, scaled)?.squeeze(0),
            3 => self.dropped(OP, p, training, Each::Channel, scaled),
            _ => Err(Error::invalid(OP, format!("expected [N, C, L] or [C, L]; got {}", self.shape()))),
        }
    }

    /// [`dropout`](Tensor::dropout) of whole channels: `[N, C, H, W]`.
    ///
    /// As in PyTorch, the first two dimensions are batch and channels for any number of dimensions, in `[N, C, L]` too.
    ///
    /// # Errors
    /// As `dropout`; [`Error::Invalid`] for less than two dimensions in training.
    #[track_caller]
    pub fn dropout2d(&self, p: f64, training: bool) -> Result<Tensor> {
        self.dropped("dropout2d", p, training, Each::Channel, scaled)
    }

    /// [`dropout`](Tensor::dropout) of whole channels: `[N, C, D, H, W]` or `[C, D, H, W]`.
    ///
    /// As in PyTorch, the first dimension is the channels for all numbers of dimensions but five.
    ///
    /// # Errors
    /// As `dropout`; [`Error::Invalid`] for a scalar in training.
    #[track_caller]
    pub fn dropout3d(&self, p: f64, training: bool) -> Result<Tensor> {
        const OP: &str = "dropout3d";
        if self.rank() == 5 {
            return self.dropped(OP, p, training, Each::Channel, scaled);
        }
        self.unsqueeze(0)?.dropped(OP, p, training, Each::Channel, scaled)?.squeeze(0)
    }

    /// Dropout for networks of [`selu`](Tensor::selu) (Klambauer et al. 2017): in training each element is replaced with
    /// probability `p` by the limit of `selu` far below 0, `-1.7581`, and all of them are then scaled and shifted such that mean
    /// 0 and variance 1 are preserved. Outside of training (PyTorch's default), the input. With `p` 1 everything is 0.
    ///
    /// # Errors
    /// As [`dropout`](Tensor::dropout).
    #[track_caller]
    pub fn alpha_dropout(&self, p: f64, training: bool) -> Result<Tensor> {
        self.dropped("alpha_dropout", p, training, Each::Element, moved)
    }

    /// [`alpha_dropout`](Tensor::alpha_dropout) of whole channels: `[N, C, ..]`.
    ///
    /// # Errors
    /// As `alpha_dropout`; [`Error::Invalid`] for less than two dimensions in training.
    #[track_caller]
    pub fn feature_alpha_dropout(&self, p: f64, training: bool) -> Result<Tensor> {
        self.dropped("feature_alpha_dropout", p, training, Each::Channel, moved)
    }

    /// `apply(x, keep, p)` in f32, with `keep` 1 for kept elements and 0 for dropped ones.
    #[track_caller]
    fn dropped(
        &self,
        op: &'static str,
        p: f64,
        training: bool,
        each: Each,
        apply: fn(&Tensor, &Tensor, f64) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        if !(0.0..=1.0).contains(&p) {
            return Err(Error::invalid(op, format!("the probability p is {p}; it must be between 0 and 1")));
        }
        if p == 0.0 || !training || self.numel() == 0 {
            return Ok(self.clone());
        }
        if p == 1.0 {
            // As a product, which is NaN for infinities and NaN.
            return self * 0.0;
        }
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op, expected: "floats", got: self.dtype() });
        }
        let shape = match (each, &self.shape()[..]) {
            (Each::Element, shape) => shape.to_vec(),
            (Each::Channel, [n, c, places @ ..]) => [&[*n, *c], &vec![1; places.len()][..]].concat(),
            (Each::Channel, shape) => {
                return Err(Error::invalid(op, format!("{shape:?} has no channels; expected [N, C, ..]")));
            }
        };
        // In the precision of the drawn numbers, so that all devices keep the same elements.
        let keep = Tensor::full(self.device(), &shape, nearest::<f32>(1.0 - p))?.bernoulli()?;
        apply(&self.to_dtype(DType::F32)?, &keep, p)?.to_dtype(self.dtype())
    }
}

/// `x keep / (1 - p)`.
#[track_caller]
fn scaled(x: &Tensor, keep: &Tensor, p: f64) -> Result<Tensor> {
    x * (keep * (1.0 / (1.0 - p)))
}

/// `a (x keep - depth (1 - keep)) + a depth p`, whose mean and variance are those of `x` if these are 0 and 1.
#[track_caller]
fn moved(x: &Tensor, keep: &Tensor, p: f64) -> Result<Tensor> {
    let a = 1.0 / ((SELU_DEPTH * SELU_DEPTH * p + 1.0) * (1.0 - p)).sqrt();
    let shift = (((keep - 1.0)? * (SELU_DEPTH * a))? + (SELU_DEPTH * a * p))?;
    x * (keep * (a)) + &shift
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    type Method = fn(&Tensor, f64, bool) -> Result<Tensor>;
    let case = |op, shape: &[usize], p: f64, run: Method| {
        Case::new(op, &[shape], move |x| {
            // The same elements at each call, on each device.
            x[0].device().manual_seed(0xfeed_5eed);
            Ok(vec![run(&x[0], p, true)?])
        })
        .with("p", p)
    };
    vec![
        case("dropout", &[101], 0.3, Tensor::dropout),
        case("dropout", &[3, 5], 1.0, Tensor::dropout),
        case("dropout", &[0, 3], 0.5, Tensor::dropout),
        case("dropout", &[7, 3], 0.5, |x, p, training| x.t()?.dropout(p, training)),
        case("dropout1d", &[3, 5], 0.5, Tensor::dropout1d),
        case("dropout1d", &[2, 3, 5], 0.5, Tensor::dropout1d),
        case("dropout2d", &[2, 5, 3, 2], 0.25, Tensor::dropout2d),
        case("dropout3d", &[5, 1, 3, 2], 0.5, Tensor::dropout3d),
        case("dropout3d", &[2, 3, 1, 2, 2], 0.5, Tensor::dropout3d),
        case("alpha_dropout", &[5, 7], 0.4, Tensor::alpha_dropout),
        case("feature_alpha_dropout", &[3, 5, 2], 0.4, Tensor::feature_alpha_dropout),
        case("dropout", &[5, 7], 0.5, |x, p, training| x.to_dtype(DType::F16)?.dropout(p, training)).half(),
    ]
}

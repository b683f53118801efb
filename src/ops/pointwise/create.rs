//! Pointwise operations without operands: constants and random numbers.
//!
//! Random numbers are Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): four
//! words from a counter and a key, so that element `i` has the same value on every adapter and on the reference.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Device, Op, Tensor, hash_structure, record_on};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::shader::Formula;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// Every element the same number.
#[derive(Clone, Debug)]
pub(crate) struct Full {
    shape: Shape,
    dtype: DType,
    word: [u32; 1],
}

impl Full {
    pub fn new(shape: Shape, value: f64, dtype: DType) -> Full {
        let word = match dtype {
            DType::F32 | DType::F16 => (value as f32).to_bits(),
            DType::I32 => (value as i32) as u32,
            DType::U32 => value as u32,
            DType::Bool => u32::from(value != 0.0),
        };
        Full { shape, dtype, word: [word] }
    }
}

static FULL_FLOAT: Formula = constant("F(bitcast<f32>({s0}))");
static FULL_I32: Formula = constant("I(bitcast<i32>({s0}))");
static FULL_U32: Formula = constant("U({s0})");
static FULL_BOOL: Formula = constant("B({s0} != 0u)");

const fn constant(wgsl: &'static str) -> Formula {
    Formula { name: "full", wgsl, library: &[], constant: true }
}

impl Op for Full {
    fn name(&self) -> &'static str {
        "full"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&self.dtype, state);
    }
    fn class(&self) -> Class {
        Class::Pointwise(match self.dtype {
            DType::F32 | DType::F16 => &FULL_FLOAT,
            DType::I32 => &FULL_I32,
            DType::U32 => &FULL_U32,
            DType::Bool => &FULL_BOOL,
        })
    }
    fn scalars(&self) -> &[u32] {
        &self.word
    }
    fn outputs(&self, _: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(self.shape, self.dtype)])
    }
    fn reference(&self, _: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let value = match self.dtype {
            DType::F32 | DType::F16 => f64::from(f32::from_bits(self.word[0])),
            DType::I32 => f64::from(self.word[0] as i32),
            DType::U32 | DType::Bool => f64::from(self.word[0]),
        };
        Ok(vec![HostTensor::new(self.shape, self.dtype, vec![value; self.shape.numel()])])
    }
}

/// A distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RandomKind {
    /// Uniform over [0, 1), in steps of 2^-24.
    Uniform,
    /// Normal with mean 0 and variance 1, by Box and Muller's method.
    Normal,
}

/// Random numbers: scalars are the key and the first counter, low word first.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    kind: RandomKind,
    shape: Shape,
    words: [u32; 4],
}

const PHILOX: &[&str] = &[include_str!("../../../shaders/lib/philox.wgsl")];
static UNIFORM: Formula = Formula {
    name: "rand",
    wgsl: "philox_uniform(philox(quad, {s0}, {s1}, {s2}, {s3}))",
    library: PHILOX,
    constant: false,
};
static NORMAL: Formula = Formula {
    name: "randn",
    wgsl: "philox_normal(philox(quad, {s0}, {s1}, {s2}, {s3}))",
    library: PHILOX,
    constant: false,
};

impl Op for Random {
    fn name(&self) -> &'static str {
        match self.kind {
            RandomKind::Uniform => "rand",
            RandomKind::Normal => "randn",
        }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&self.kind, state);
    }
    fn class(&self) -> Class {
        Class::Pointwise(match self.kind {
            RandomKind::Uniform => &UNIFORM,
            RandomKind::Normal => &NORMAL,
        })
    }
    fn scalars(&self) -> &[u32] {
        &self.words
    }
    fn outputs(&self, _: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(self.shape, DType::F32)])
    }
    fn reference(&self, _: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let count = self.shape.numel();
        let mut values = Vec::with_capacity(count + 3);
        for quad in 0..count.div_ceil(4) as u32 {
            let words = philox(quad, self.words);
            // 24 bits make every value exact in f32.
            let uniform = words.map(|word| f64::from(word >> 8) / f64::from(1 << 24));
            match self.kind {
                RandomKind::Uniform => values.extend(uniform),
                RandomKind::Normal => {
                    for pair in [[0, 1], [2, 3]] {
                        let radius = (-2.0 * (1.0 - uniform[pair[0]]).ln()).sqrt();
                        let angle = std::f64::consts::TAU * uniform[pair[1]];
                        values.extend([radius * angle.cos(), radius * angle.sin()]);
                    }
                }
            }
        }
        values.truncate(count);
        Ok(vec![HostTensor::new(self.shape, DType::F32, values)])
    }
}

/// Philox4x32-10 at counter `first + quad`: ten rounds of two multiplications, with a key that steps.
fn philox(quad: u32, [key0, key1, low, high]: [u32; 4]) -> [u32; 4] {
    let (low, carry) = low.overflowing_add(quad);
    let mut x = [low, high.wrapping_add(u32::from(carry)), 0, 0];
    let (mut key0, mut key1) = (key0, key1);
    for _ in 0..10 {
        let a = u64::from(x[0]) * 0xD251_1F53;
        let b = u64::from(x[2]) * 0xCD9E_8D57;
        x = [(b >> 32) as u32 ^ x[1] ^ key0, b as u32, (a >> 32) as u32 ^ x[3] ^ key1, a as u32];
        key0 = key0.wrapping_add(0x9E37_79B9);
        key1 = key1.wrapping_add(0xBB67_AE85);
    }
    x
}

impl Tensor {
    #[track_caller]
    fn random(device: &Device, shape: &[usize], kind: RandomKind) -> Result<Tensor> {
        let shape = Shape::new(shape)?;
        let state = device.draw(shape.numel().div_ceil(4) as u64);
        let words = [state.seed as u32, (state.seed >> 32) as u32, state.counter as u32, (state.counter >> 32) as u32];
        Ok(record_on(device, Random { kind, shape, words }, &[])?.swap_remove(0))
    }

    /// Numbers uniform over [0, 1) from the device's random stream (see [`Device::manual_seed`]).
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooManyDimensions`].
    #[track_caller]
    pub fn rand(device: &Device, shape: &[usize]) -> Result<Tensor> {
        Tensor::random(device, shape, RandomKind::Uniform)
    }

    /// Numbers uniform over [`low`, `high`).
    ///
    /// # Errors
    /// As [`rand`](Tensor::rand).
    #[track_caller]
    pub fn uniform(device: &Device, shape: &[usize], low: f32, high: f32) -> Result<Tensor> {
        Tensor::rand(device, shape)?.mul_scalar(high - low)?.add_scalar(low)
    }

    /// Numbers from the normal distribution with mean 0 and variance 1.
    ///
    /// # Errors
    /// As [`rand`](Tensor::rand).
    #[track_caller]
    pub fn randn(device: &Device, shape: &[usize]) -> Result<Tensor> {
        Tensor::random(device, shape, RandomKind::Normal)
    }

    /// Numbers from the normal distribution with a mean and a standard deviation.
    ///
    /// # Errors
    /// [`Error::Invalid`] where `std` is negative; as [`rand`](Tensor::rand).
    #[track_caller]
    pub fn normal(device: &Device, shape: &[usize], mean: f32, std: f32) -> Result<Tensor> {
        if std < 0.0 {
            return Err(Error::invalid("normal", format!("the standard deviation is {std}; it must not be negative")));
        }
        Tensor::randn(device, shape)?.mul_scalar(std)?.add_scalar(mean)
    }

    /// For each element 1 with the probability that this tensor holds there, else 0.
    ///
    /// # Errors
    /// [`Error::WrongDType`] where this is not f32.
    #[track_caller]
    pub fn bernoulli(&self) -> Result<Tensor> {
        if self.dtype() != DType::F32 {
            return Err(Error::WrongDType { op: "bernoulli", expected: "f32", got: self.dtype() });
        }
        Tensor::rand(self.device(), self.shape())?.lt(&self.detach())?.to_dtype(DType::F32)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let random = |run: fn(&Device) -> Result<Tensor>| {
        move |x: &[Tensor]| {
            x[0].device().manual_seed(0x0123_4567_89ab_cdef);
            Ok(vec![x[0].add(&run(x[0].device())?)?])
        }
    };
    vec![
        Case::new("full", &[&[3, 5]], |x| Ok(vec![x[0].add(&x[0].full_like(0.25)?)?])),
        Case::new("rand", &[&[1003]], random(|d| Tensor::rand(d, &[1003]))),
        Case::new("uniform", &[&[17]], random(|d| Tensor::uniform(d, &[17], -3.0, 2.0))),
        Case::new("randn", &[&[1003]], random(|d| Tensor::randn(d, &[1003]))).tolerance(64.0),
        Case::new("normal", &[&[5, 7]], random(|d| Tensor::normal(d, &[5, 7], 1.0, 0.5))).tolerance(64.0),
        Case::new("bernoulli", &[&[999]], random(|d| Tensor::full(d, &[999], 0.3f32)?.bernoulli())),
    ]
}

#[cfg(test)]
mod tests {
    use super::philox;

    /// Known answers published with the Random123 library for philox4x32-10.
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox(0, [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    }
}

//! Random numbers and permutations.
//!
//! Random words are Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): four words from a
//! counter and a key, so that element `i` has the same value on every adapter and on the reference.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Device, Op, RandomState, Tensor, hash_structure, record_on};
use crate::host_tensor::HostTensor;
use crate::number::low_word;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shader::Formula;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// A distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RandomKind {
    /// Uniform over [0, 1), in steps of 2^-24.
    Uniform,
    /// Normal with mean 0 and variance 1, by the Box-Muller method.
    Normal,
    /// Integers; the fifth word is the first of them, the sixth their number.
    Integers,
}

/// Random numbers: scalars are the key and the first counter, low word first.
#[derive(Clone, Debug)]
struct Random {
    kind: RandomKind,
    shape: Shape,
    words: [u32; 6],
}

const PHILOX: &[&str] = &[wgsl!("lib/philox")];
static UNIFORM: Formula = Formula::new("rand", "philox_uniform(philox(quad, {s0}, {s1}, {s2}, {s3}))").library(PHILOX);
static NORMAL: Formula = Formula::new("randn", "philox_normal(philox(quad, {s0}, {s1}, {s2}, {s3}))").library(PHILOX);
static INTEGERS: Formula =
    Formula::new("randint", "bitcast<I>(U({s4}) + philox_below(philox(quad, {s0}, {s1}, {s2}, {s3}), {s5}))")
        .library(PHILOX);

impl Op for Random {
    fn name(&self) -> &'static str {
        match self.kind {
            RandomKind::Uniform => "rand",
            RandomKind::Normal => "randn",
            RandomKind::Integers => "randint",
        }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&self.kind, state);
    }
    fn class(&self) -> Class<'_> {
        Class::Pointwise(match self.kind {
            RandomKind::Uniform => &UNIFORM,
            RandomKind::Normal => &NORMAL,
            RandomKind::Integers => &INTEGERS,
        })
    }
    fn scalars(&self) -> &[u32] {
        &self.words
    }
    fn outputs(&self, _: &[Layout]) -> Result<Vec<Layout>> {
        let dtype = if self.kind == RandomKind::Integers { DType::I32 } else { DType::F32 };
        Ok(vec![Layout::contiguous(self.shape, dtype)])
    }
    fn reference(&self, _: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let count = self.shape.numel();
        let mut values = Vec::with_capacity(count + 3);
        let [key0, key1, low, high, start, range] = self.words;
        for quad in 0..nearest::<u32>(count.div_ceil(4)) {
            let words = philox(quad, [key0, key1, low, high]);
            // 24 bits, so that every value is exact in f32.
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
                RandomKind::Integers => values.extend(words.map(|word| {
                    let below = ((u64::from(word) * u64::from(range)) >> 32) as u32;
                    f64::from(start.wrapping_add(below) as i32)
                })),
            }
        }
        values.truncate(count);
        let dtype = self.outputs(&[])?[0].dtype;
        Ok(vec![HostTensor::new(self.shape, dtype, values)])
    }
}

/// Philox4x32-10 at counter `first + quad`: ten rounds of two multiplications, with a key that changes each round.
pub(super) fn philox(quad: u32, [key0, key1, low, high]: [u32; 4]) -> [u32; 4] {
    let (low, carry) = low.overflowing_add(quad);
    let mut x = [low, high.wrapping_add(u32::from(carry)), 0, 0];
    let (mut key0, mut key1) = (key0, key1);
    for _ in 0..10 {
        let a = u64::from(x[0]) * 0xD251_1F53;
        let b = u64::from(x[2]) * 0xCD9E_8D57;
        x = [(b >> 32) as u32 ^ x[1] ^ key0, low_word(b), (a >> 32) as u32 ^ x[3] ^ key1, low_word(a)];
        key0 = key0.wrapping_add(0x9E37_79B9);
        key1 = key1.wrapping_add(0xBB67_AE85);
    }
    x
}

/// The key and the first counter of a draw.
fn stream(state: RandomState) -> [u32; 4] {
    [low_word(state.seed), (state.seed >> 32) as u32, low_word(state.counter), (state.counter >> 32) as u32]
}

/// Rounds of a permutation, each with a key of its own.
const ROUNDS: usize = 12;

/// Steps of a walk back into range. Fewer than half of the numbers are outside, so that a long walk is practically impossible; up
/// to 1,024 elements no walk can be longer.
const LONGEST_WALK: usize = 1024;

/// The numbers below `count` in a random order: element `i` is the image of `i` under a keyed bijection of the numbers of `bits`
/// bits, which is applied again while the image is `count` or above (this leaves a bijection of the numbers below). The bijection
/// is a Feistel network that alternates its halves. Scalars are `count`, `bits` and the keys of the rounds.
#[derive(Clone, Debug)]
struct Permutation {
    words: [u32; 2 + ROUNDS],
}

static PERMUTATION: Formula = Formula::new(
    "randperm",
    "permuted(quad, {s0}, {s1}, U({s2}, {s3}, {s4}, {s5}), U({s6}, {s7}, {s8}, {s9}), U({s10}, {s11}, {s12}, {s13}))",
)
.library(&[wgsl!("lib/permutation")]);

/// The finalizer of MurmurHash3 (Appleby, in the public domain): every bit depends on every bit.
fn mix(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
    x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
    x ^ (x >> 16)
}

impl Permutation {
    fn new(count: u32, state: RandomState) -> Permutation {
        let bits = if count > 1 { 32 - (count - 1).leading_zeros() } else { 0 };
        let mut words = [count, bits, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for quad in 0..ROUNDS / 4 {
            let keys = philox(nearest::<u32>(quad), stream(state));
            words[2 + 4 * quad..6 + 4 * quad].copy_from_slice(&keys);
        }
        Permutation { words }
    }

    fn step(&self, x: u32) -> u32 {
        let low_bits = self.words[1] / 2;
        let (low_mask, high_mask) = ((1 << low_bits) - 1, (1 << (self.words[1] - low_bits)) - 1);
        let (mut low, mut high) = (x & low_mask, (x >> low_bits) & high_mask);
        for (round, &key) in self.words[2..].iter().enumerate() {
            if round % 2 == 0 {
                low ^= mix(high ^ key) & low_mask;
            } else {
                high ^= mix(low ^ key) & high_mask;
            }
        }
        low | high << low_bits
    }
}

impl Op for Permutation {
    fn name(&self) -> &'static str {
        "randperm"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::Pointwise(&PERMUTATION)
    }
    fn scalars(&self) -> &[u32] {
        &self.words
    }
    fn outputs(&self, _: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(Shape::new(&[self.words[0] as usize])?, DType::I32)])
    }
    fn reference(&self, _: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let count = self.words[0];
        let place = |at: u32| {
            let mut place = self.step(at);
            for _ in 1..LONGEST_WALK {
                if place < count {
                    break;
                }
                place = self.step(place);
            }
            f64::from(place)
        };
        Ok(vec![HostTensor::new(Shape::new(&[count as usize])?, DType::I32, (0..count).map(place).collect())])
    }
}

impl Tensor {
    #[track_caller]
    fn random(device: &Device, shape: &[usize], kind: RandomKind, [start, range]: [u32; 2]) -> Result<Tensor> {
        let shape = Shape::new(shape)?;
        let state = device.draw(shape.numel().div_ceil(4) as u64);
        let [key0, key1, low, high] = stream(state);
        let words = [key0, key1, low, high, start, range];
        record_on(device, Random { kind, shape, words })
    }

    /// Numbers uniform over [0, 1) from the device's random stream (see [`Device::manual_seed`]).
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooManyDimensions`].
    #[track_caller]
    pub fn rand(device: &Device, shape: &[usize]) -> Result<Tensor> {
        Tensor::random(device, shape, RandomKind::Uniform, [0; 2])
    }

    /// Numbers uniform over [`low`, `high`).
    ///
    /// # Errors
    /// As [`rand`](Tensor::rand).
    #[track_caller]
    pub fn uniform(device: &Device, shape: &[usize], low: f64, high: f64) -> Result<Tensor> {
        (Tensor::rand(device, shape)? * (high - low))? + low
    }

    /// Numbers from the normal distribution with mean 0 and variance 1.
    ///
    /// # Errors
    /// As [`rand`](Tensor::rand).
    #[track_caller]
    pub fn randn(device: &Device, shape: &[usize]) -> Result<Tensor> {
        Tensor::random(device, shape, RandomKind::Normal, [0; 2])
    }

    /// Numbers from the normal distribution with a mean and a standard deviation.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `std` is negative; as [`rand`](Tensor::rand).
    #[track_caller]
    pub fn normal(device: &Device, shape: &[usize], mean: f64, std: f64) -> Result<Tensor> {
        if std < 0.0 {
            return Err(Error::invalid("normal", format!("the standard deviation is {std}; it must not be negative")));
        }
        (Tensor::randn(device, shape)? * std)? + mean
    }

    /// Whole numbers from `low` up to `high`, which is excluded, in i32. Each number's probability is off by less than 2^-32: a
    /// random word is multiplied by their count, and the upper half is taken.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `high` is not above `low`; as [`rand`](Tensor::rand).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::randint(&device, -2, 3, &[100])?.to_vec::<i32>()?;
    /// assert!(x.iter().all(|v| (-2..3).contains(v)));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn randint(device: &Device, low: i32, high: i32, shape: &[usize]) -> Result<Tensor> {
        if high <= low {
            return Err(Error::invalid("randint", format!("there are no numbers from {low} up to {high}")));
        }
        Tensor::random(
            device,
            shape,
            RandomKind::Integers,
            [low.cast_unsigned(), high.wrapping_sub(low).cast_unsigned()],
        )
    }

    /// The numbers below `n` in a random order, in i32, each computed by itself, without sorting: the same on every adapter and
    /// on the reference. Not every order can occur: there are more orders than seeds.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Invalid`] if `n` exceeds i32.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let mut x = Tensor::randperm(&device, 5)?.to_vec::<i32>()?;
    /// x.sort();
    /// assert_eq!(x, [0, 1, 2, 3, 4]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn randperm(device: &Device, n: usize) -> Result<Tensor> {
        let Ok(count) = i32::try_from(n) else {
            return Err(Error::invalid("randperm", format!("{n} numbers are more than i32 counts")));
        };
        let state = device.draw((ROUNDS / 4) as u64);
        record_on(device, Permutation::new(count.cast_unsigned(), state))
    }

    /// [`rand`](Tensor::rand) in this tensor's shape and type.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn rand_like(&self) -> Result<Tensor> {
        self.like("rand_like", Tensor::rand)
    }

    /// [`randn`](Tensor::randn) in this tensor's shape and type.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn randn_like(&self) -> Result<Tensor> {
        self.like("randn_like", Tensor::randn)
    }

    /// [`randint`](Tensor::randint) in this tensor's shape and type.
    ///
    /// # Errors
    /// As [`randint`](Tensor::randint).
    #[track_caller]
    pub fn randint_like(&self, low: i32, high: i32) -> Result<Tensor> {
        Tensor::randint(self.device(), low, high, self.shape())?.to_dtype(self.dtype())
    }

    #[track_caller]
    fn like(&self, op: &'static str, draw: fn(&Device, &[usize]) -> Result<Tensor>) -> Result<Tensor> {
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op, expected: "floats", got: self.dtype() });
        }
        draw(self.device(), self.shape())?.to_dtype(self.dtype())
    }

    /// For each element 1 with the probability that this tensor holds there, otherwise 0, in its type. Values outside 0 to 1
    /// count as the nearer of both. No gradient.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for types other than floats.
    #[track_caller]
    pub fn bernoulli(&self) -> Result<Tensor> {
        let probability = self.detach();
        probability.rand_like_f32("bernoulli")?.lt(&probability)?.to_dtype(self.dtype())
    }

    /// 1 with the probability `p`, otherwise 0, in this tensor's shape and type (PyTorch's `bernoulli` with `p`). No gradient.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for types other than floats; [`Error::Invalid`] if `p` is not between 0 and 1.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::zeros(&device, &[3])?;
    /// assert_eq!(x.bernoulli_p(1.0)?.to_vec::<f32>()?, [1.0; 3]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn bernoulli_p(&self, p: f64) -> Result<Tensor> {
        const OP: &str = "bernoulli";
        if !(0.0..=1.0).contains(&p) {
            return Err(Error::invalid(OP, format!("p is {p}; a probability is between 0 and 1")));
        }
        self.rand_like_f32(OP)?.lt_scalar(p)?.to_dtype(self.dtype())
    }

    /// Uniform numbers for each element of a tensor of floats. In f32, since f16 would round some up to 1.
    #[track_caller]
    fn rand_like_f32(&self, op: &'static str) -> Result<Tensor> {
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op, expected: "floats", got: self.dtype() });
        }
        Tensor::rand(self.device(), self.shape())
    }
}

pub(super) fn cases() -> Vec<Case> {
    let random = |run: fn(&Device) -> Result<Tensor>| {
        move |x: &[Tensor]| {
            x[0].device().manual_seed(0x0123_4567_89ab_cdef);
            Ok(vec![x[0].add(&run(x[0].device())?)?])
        }
    };
    let whole = |op, run: fn(&Device) -> Result<Tensor>| {
        Case::new(op, &[&[]], move |x| {
            x[0].device().manual_seed(0xfedc_ba98_7654_3210);
            Ok(vec![run(x[0].device())?])
        })
        .no_gradient()
        .tolerance(0.0)
    };
    vec![
        Case::new("rand", &[&[1003]], random(|d| Tensor::rand(d, &[1003]))),
        Case::new("uniform", &[&[17]], random(|d| Tensor::uniform(d, &[17], -3.0, 2.0))),
        Case::new("randn", &[&[1003]], random(|d| Tensor::randn(d, &[1003]))),
        Case::new("normal", &[&[5, 7]], random(|d| Tensor::normal(d, &[5, 7], 1.0, 0.5))),
        Case::new("bernoulli", &[&[999]], random(|d| Tensor::full(d, &[999], 0.3f32)?.bernoulli())),
        Case::new("bernoulli_p", &[&[99]], random(|d| Tensor::zeros(d, &[99])?.bernoulli_p(0.3))),
        Case::new("rand_like", &[&[5, 7]], random(|d| Tensor::zeros(d, &[5, 7])?.rand_like())),
        whole("randint", |d| Tensor::randint(d, -3, 11, &[3, 7, 5])).with("low", -3).with("high", 11),
        whole("randint", |d| Tensor::randint(d, i32::MIN, i32::MAX, &[101]))
            .with("low", i32::MIN)
            .with("high", i32::MAX),
        whole("randint_like", |d| Tensor::zeros(d, &[2, 5])?.randint_like(0, 9)),
        whole("randperm", |d| Tensor::randperm(d, 0)).with("n", 0),
        whole("randperm", |d| Tensor::randperm(d, 1)).with("n", 1),
        whole("randperm", |d| Tensor::randperm(d, 2)).with("n", 2),
        whole("randperm", |d| Tensor::randperm(d, 5)).with("n", 5),
        whole("randperm", |d| Tensor::randperm(d, 1025)).with("n", 1025),
        whole("randperm", |d| Tensor::randperm(d, 4096)).with("n", 4096),
    ]
}

#[cfg(test)]
mod tests {
    use super::philox;
    use crate::{Device, Tensor};

    /// Known answers published with the Random123 library for philox4x32-10.
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox(0, [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    }

    #[test]
    fn a_permutation_holds_every_number_once() {
        let device = Device::reference();
        for n in (0..70).chain([127, 128, 129, 1000, 10_007]) {
            let mut order = Tensor::randperm(&device, n).unwrap().to_vec::<i32>().unwrap();
            order.sort_unstable();
            assert!(order.iter().enumerate().all(|(i, &v)| i as i32 == v), "{n}: {order:?}");
        }
    }

    /// The 24 orders are equally frequent: 2,400 draws, 100 of each, a standard deviation of 10.
    #[test]
    fn orders_of_four_are_equally_likely() {
        let device = Device::reference();
        device.manual_seed(5);
        let mut counts = std::collections::HashMap::new();
        for _ in 0..2400 {
            *counts.entry(Tensor::randperm(&device, 4).unwrap().to_vec::<i32>().unwrap()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|&count| (55..=145).contains(&count)), "{counts:?}");
    }
}

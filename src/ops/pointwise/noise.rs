//! Noise that depends on the image alone, not on its index in a batch.

use super::random::philox;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Class, Op, Tensor, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shader::Formula;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// Numbers by the normal distribution, from keys in i32 and an element's index in its image. The scalar is the number of elements
/// of an image.
#[derive(Debug)]
struct ImageNoise {
    elements: [u32; 1],
}

static NOISE: Formula = Formula::new("image_noise", "image_noise({0}, {1}, {i} % U({s0}))")
    .library(&[wgsl!("lib/philox"), wgsl!("lib/image_noise")]);

impl Op for ImageNoise {
    fn name(&self) -> &'static str {
        "image_noise"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::Pointwise(&NOISE)
    }
    fn scalars(&self) -> &[u32] {
        &self.elements
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::F32)])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let keys = inputs[0].values.iter().zip(&inputs[1].values);
        let numbers = keys.zip(0u32..).map(|((&low, &high), at)| {
            let keys = [low, high].map(|key| nearest::<i32>(key).cast_unsigned());
            let words = philox(at % self.elements[0], [keys[0], keys[1], 0, 0]);
            let [x, y] = [0, 1].map(|word: usize| f64::from(words[word] >> 8) / f64::from(1 << 24));
            (-2.0 * (1.0 - x).ln()).sqrt() * (std::f64::consts::TAU * y).cos()
        });
        Ok(vec![HostTensor::new(inputs[0].shape, DType::F32, numbers.collect())])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

impl Tensor {
    /// Normally distributed numbers for images of this shape `[N, C, H, W]`, from keys `[N, 2]` in i32: those of an image depend
    /// on its key alone.
    #[track_caller]
    pub(crate) fn image_noise(shape: Shape, keys: &Tensor) -> Result<Tensor> {
        let half = |at: usize| keys.narrow(1, at, 1)?.reshape(&[-1, 1, 1, 1])?.expand_to(shape, "image_noise");
        let elements = [nearest(shape[1..].iter().product::<usize>())];
        record_one(ImageNoise { elements }, &[&half(0)?, &half(1)?])
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |shape: [usize; 4]| {
        Case::new("image_noise", &[&[shape[0], 2]], move |x| Ok(vec![Tensor::image_noise(Shape::new(&shape)?, &x[0])?]))
            .with("size", shape)
            .integers(0, i32::MIN, i32::MAX)
            .no_gradient()
    };
    vec![case([3, 3, 5, 7]), case([0, 1, 4, 4])]
}

//! Tensors from host values and constants.

use crate::dtype::{DType, Element};
use crate::error::{Error, Result};
use crate::graph::{Class, Op, hash_structure};
use crate::graph::{Device, OneOrMore, State, Storage, Tensor, record_leaf, record_on};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::Full;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;
use std::panic::Location;
use std::sync::Arc;

/// Values passed in by the caller.
#[derive(Debug, Hash)]
struct Leaf;

impl Op for Leaf {
    fn name(&self) -> &'static str {
        "input"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn class(&self) -> Class<'_> {
        Class::Leaf
    }
    fn outputs(&self, _: &[Layout]) -> Result<Vec<Layout>> {
        Err(Error::Internal { op: "input", reason: "leaves are not computed".to_string() })
    }
    fn reference(&self, _: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Err(Error::Internal { op: "input", reason: "leaves are not computed".to_string() })
    }
}

impl Tensor {
    /// A tensor from values in row-major order. They are copied, and uploaded at the next flush.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the number of values does not fit the shape, [`Error::TooLarge`],
    /// [`Error::TooManyDimensions`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// assert_eq!(x.t()?.to_vec::<f32>()?, [1.0, 3.0, 2.0, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn from_slice<T: Element>(device: &Device, values: &[T], shape: &[usize]) -> Result<Tensor> {
        let shape = fitting(values.len(), shape)?;
        from_bytes(device, || T::device_bytes(values), Layout::contiguous(shape, T::DTYPE))
    }

    /// A tensor from elements as the device stores them, written by `fill` one piece after the other; each piece but the last is
    /// a multiple of four elements. It is on the device when this returns.
    ///
    /// # Errors
    /// As [`from_slice`](Tensor::from_slice); those of `fill`.
    #[track_caller]
    pub(crate) fn from_pieces(
        device: &Device,
        shape: &[usize],
        dtype: DType,
        mut fill: impl FnMut(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<Tensor> {
        let layout = Layout::contiguous(Shape::new(shape)?, dtype);
        check(device, &layout)?;
        let storage = device.executor().store(layout.bytes(), &mut fill)?;
        Ok(leaf(device, layout, storage))
    }

    /// An f32 tensor from double precision, which only the reference device keeps: the inverse of [`to_f64`](Tensor::to_f64), so
    /// that a checkpoint loses nothing there either.
    ///
    /// # Errors
    /// As [`from_slice`](Tensor::from_slice).
    #[track_caller]
    pub fn from_f64(device: &Device, values: &[f64], shape: &[usize]) -> Result<Tensor> {
        if device.is_reference() {
            return Tensor::from_exact(device, values.to_vec(), shape);
        }
        let rounded: Vec<f32> = values.iter().map(|&value| nearest::<f32>(value)).collect();
        Tensor::from_slice(device, &rounded, shape)
    }

    /// An f32 tensor of the reference device from double precision, which is not copied.
    ///
    /// # Errors
    /// As [`from_slice`](Tensor::from_slice).
    #[track_caller]
    pub(crate) fn from_exact(device: &Device, values: Vec<f64>, shape: &[usize]) -> Result<Tensor> {
        let layout = Layout::contiguous(fitting(values.len(), shape)?, DType::F32);
        check(device, &layout)?;
        let exact = HostTensor::new(layout.shape, DType::F32, values);
        Ok(leaf(device, layout, Storage::Host(Arc::new(exact))))
    }

    /// A tensor of no dimensions holding one value.
    ///
    /// # Errors
    /// As [`from_slice`](Tensor::from_slice).
    #[track_caller]
    pub fn scalar<T: Element>(device: &Device, value: T) -> Result<Tensor> {
        Tensor::from_slice(device, &[value], &[])
    }

    /// Every element the same number. The number is data: another number needs no other kernel.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooManyDimensions`].
    #[track_caller]
    pub fn full<T: Element>(device: &Device, shape: &[usize], value: T) -> Result<Tensor> {
        full(device, Shape::new(shape)?, value.to_f64(), T::DTYPE)
    }

    /// Every element the same f32 number; the reference computes with all of its digits.
    ///
    /// # Errors
    /// As [`full`](Tensor::full).
    #[track_caller]
    pub(crate) fn filled(device: &Device, shape: &[usize], value: f64) -> Result<Tensor> {
        full(device, Shape::new(shape)?, value, DType::F32)
    }

    /// Zeros, in f32.
    ///
    /// # Errors
    /// As [`full`](Tensor::full).
    #[track_caller]
    pub fn zeros(device: &Device, shape: &[usize]) -> Result<Tensor> {
        Tensor::full(device, shape, 0.0f32)
    }

    /// Ones, in f32.
    ///
    /// # Errors
    /// As [`full`](Tensor::full).
    #[track_caller]
    pub fn ones(device: &Device, shape: &[usize]) -> Result<Tensor> {
        Tensor::full(device, shape, 1.0f32)
    }

    /// Zeros of this tensor's shape and type.
    ///
    /// # Errors
    /// None, except those of a flush on the way.
    #[track_caller]
    pub fn zeros_like(&self) -> Result<Tensor> {
        self.full_like(0.0)
    }

    /// Ones of this tensor's shape and type.
    ///
    /// # Errors
    /// None, except those of a flush on the way.
    #[track_caller]
    pub fn ones_like(&self) -> Result<Tensor> {
        self.full_like(1.0)
    }

    /// One number in this tensor's shape and type.
    ///
    /// # Errors
    /// None, except those of a flush on the way.
    #[track_caller]
    pub fn full_like(&self, value: f64) -> Result<Tensor> {
        full(self.device(), *self.shape(), value, self.dtype())
    }
}

/// The shape, if it has this number of elements.
fn fitting(elements: usize, shape: &[usize]) -> Result<Shape> {
    let shape = Shape::new(shape)?;
    if shape.numel() != elements {
        let rule = format!("{elements} values do not fill shape {shape}, which has {}", shape.numel());
        return Err(Error::invalid("from_slice", rule));
    }
    Ok(shape)
}

#[track_caller]
fn from_bytes(device: &Device, bytes: impl FnOnce() -> Vec<u8>, layout: Layout) -> Result<Tensor> {
    check(device, &layout)?;
    device.hand_in(layout.bytes());
    Ok(leaf(device, layout, Storage::Pending(Arc::new(bytes()))))
}

fn check(device: &Device, layout: &Layout) -> Result<()> {
    device.check_size("from_slice", layout)?;
    device.check_dtype("from_slice", layout.dtype)
}

#[track_caller]
fn leaf(device: &Device, layout: Layout, storage: Storage) -> Tensor {
    let state = State { storage: Some(OneOrMore::One(storage)), ..State::default() };
    record_leaf(device, Leaf, layout, None, state, Location::caller())
}

#[track_caller]
fn full(device: &Device, shape: Shape, value: f64, dtype: DType) -> Result<Tensor> {
    device.check_dtype("full", dtype)?;
    record_on(device, Full::new(shape, value, dtype))
}

impl Device {
    /// 16-bit floats are optional.
    pub(crate) fn check_dtype(&self, op: &'static str, dtype: DType) -> Result<()> {
        match self.adapter() {
            Some(adapter) if dtype == DType::F16 && !adapter.has_f16 => {
                Err(Error::Unsupported { op, feature: "shader-f16", adapter: adapter.name.clone() })
            }
            _ => Ok(()),
        }
    }
}

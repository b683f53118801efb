//! Numbers as files hold them, and as devices do.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use half::{bf16, f16};
use safetensors::Dtype;

/// The element type in which a device holds a type from a file; `None` for types that are not read.
pub(crate) fn held_as(dtype: Dtype) -> Option<DType> {
    match dtype {
        Dtype::F64 | Dtype::F32 | Dtype::BF16 => Some(DType::F32),
        Dtype::F16 => Some(DType::F16),
        Dtype::I64 | Dtype::I32 | Dtype::I16 | Dtype::U16 | Dtype::I8 | Dtype::U8 => Some(DType::I32),
        Dtype::U64 | Dtype::U32 => Some(DType::U32),
        Dtype::BOOL => Some(DType::Bool),
        _ => None,
    }
}

/// A tensor on a device from a file's bytes, which `read` shows in pieces of whole numbers. They are taken as they are where the
/// device has the file's type; floats are rounded to the type asked for, except on the reference, which keeps double precision.
/// A piece at a time is in the host's memory.
///
/// # Errors
/// [`Error::Invalid`] for types that are not read, and for numbers that an integer type does not have; those of `read` and of
/// [`Tensor::from_slice`].
pub(crate) fn to_tensor(
    from: Dtype,
    device: &Device,
    shape: &[usize],
    to: DType,
    mut read: impl FnMut(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
) -> Result<Tensor> {
    if (from, to) == (Dtype::F64, DType::F32) && device.is_reference() {
        let mut values = Vec::with_capacity(shape.iter().product());
        read(&mut |piece| {
            each(from, piece, |value| {
                values.push(value);
                Ok(())
            })
        })?;
        return Tensor::from_exact(device, values, shape);
    }
    let is_held_so = matches!(
        (from, to),
        (Dtype::F32, DType::F32) | (Dtype::F16, DType::F16) | (Dtype::I32, DType::I32) | (Dtype::U32, DType::U32)
    );
    let (low, high) = match to {
        DType::I32 => (i32::MIN.into(), i32::MAX.into()),
        DType::U32 => (0.0, u32::MAX.into()),
        DType::Bool => (0.0, 1.0),
        DType::F32 | DType::F16 => (f64::NEG_INFINITY, f64::INFINITY),
    };
    Tensor::from_pieces(device, shape, to, |write| {
        let mut encoded = Vec::new();
        read(&mut |piece| {
            if is_held_so {
                return write(piece);
            }
            encoded.clear();
            encoded.reserve_exact(piece.len() * 8 / from.bitsize().max(1) * to.size());
            each(from, piece, |value| {
                if !to.is_float() && (value.fract() != 0.0 || value < low || value > high) {
                    return Err(Error::invalid("weights", format!("holds {value}, which is no {to}")));
                }
                to.encode(value, &mut encoded);
                Ok(())
            })?;
            write(&encoded)
        })
    })
}

/// Shows every number of a file's bytes. Integers past 2^53 are rounded: no type of a device holds them.
fn each(dtype: Dtype, data: &[u8], show: impl FnMut(f64) -> Result<()>) -> Result<()> {
    fn all<const N: usize>(
        data: &[u8],
        number: impl Fn([u8; N]) -> f64,
        mut show: impl FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        data.as_chunks().0.iter().try_for_each(|bytes| show(number(*bytes)))
    }
    match dtype {
        Dtype::F64 => all(data, f64::from_le_bytes, show),
        Dtype::F32 => all(data, |bytes| f32::from_le_bytes(bytes).into(), show),
        Dtype::F16 => all(data, |bytes| f16::from_le_bytes(bytes).into(), show),
        Dtype::BF16 => all(data, |bytes| bf16::from_le_bytes(bytes).into(), show),
        Dtype::I64 => all(data, |bytes| i64::from_le_bytes(bytes) as f64, show),
        Dtype::U64 => all(data, |bytes| u64::from_le_bytes(bytes) as f64, show),
        Dtype::I32 => all(data, |bytes| i32::from_le_bytes(bytes).into(), show),
        Dtype::U32 => all(data, |bytes| u32::from_le_bytes(bytes).into(), show),
        Dtype::I16 => all(data, |bytes| i16::from_le_bytes(bytes).into(), show),
        Dtype::U16 => all(data, |bytes| u16::from_le_bytes(bytes).into(), show),
        Dtype::I8 => all(data, |bytes| i8::from_le_bytes(bytes).into(), show),
        Dtype::U8 => all(data, |bytes| u8::from_le_bytes(bytes).into(), show),
        Dtype::BOOL => all(data, |[byte]: [u8; 1]| f64::from(u8::from(byte != 0)), show),
        other => Err(Error::invalid("weights", format!("is {other:?}, which is not read"))),
    }
}

//! Element types and the host types that stand for them.

use crate::number::nearest;
use std::fmt;

/// The element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DType {
    /// 32-bit float: the default, storage and accumulation.
    F32,
    /// 16-bit float: storage only, computed with in f32; needs an adapter with `shader-f16`.
    F16,
    /// 32-bit signed integer: indices and labels.
    I32,
    /// 32-bit unsigned integer.
    U32,
    /// Truth values, stored as one 32-bit word each (0 or 1) because WGSL can't store `bool`.
    Bool,
}

impl DType {
    /// Bytes one element takes on the device.
    pub fn size(self) -> usize {
        match self {
            DType::F16 => 2,
            _ => 4,
        }
    }

    /// True for the types that can carry a gradient.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F16)
    }

    /// The WGSL type an element is stored as.
    pub(crate) fn wgsl(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::I32 => "i32",
            DType::U32 | DType::Bool => "u32",
        }
    }

    /// The WGSL type an element is computed with.
    pub(crate) fn computed(self) -> &'static str {
        if self.is_float() { "f32" } else { self.wgsl() }
    }

    /// Rounds a value as storing it in this type does (the reference executor keeps f64 for floats).
    pub(crate) fn quantise(self, value: f64) -> f64 {
        match self {
            DType::F32 => value,
            DType::F16 => half::f16::from_f64(value).to_f64(),
            DType::I32 => f64::from(nearest::<i32>(value)),
            DType::U32 => f64::from(nearest::<u32>(value)),
            DType::Bool => f64::from(value != 0.0),
        }
    }

    /// One element's device bytes, little endian, appended to `bytes`.
    pub(crate) fn encode(self, value: f64, bytes: &mut Vec<u8>) {
        match self {
            DType::F32 => bytes.extend(nearest::<f32>(value).to_le_bytes()),
            DType::F16 => bytes.extend(half::f16::from_f64(value).to_le_bytes()),
            DType::I32 => bytes.extend(nearest::<i32>(value).to_le_bytes()),
            DType::U32 => bytes.extend(nearest::<u32>(value).to_le_bytes()),
            DType::Bool => bytes.extend(u32::from(value != 0.0).to_le_bytes()),
        }
    }

    /// Device bytes back to values.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f64> {
        let words = |bytes: &[u8]| -> [u8; 4] { [bytes[0], bytes[1], bytes[2], bytes[3]] };
        match self {
            DType::F16 => bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f64()).collect(),
            DType::F32 => bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(words(b)))).collect(),
            DType::I32 => bytes.chunks_exact(4).map(|b| f64::from(i32::from_le_bytes(words(b)))).collect(),
            DType::U32 | DType::Bool => {
                bytes.chunks_exact(4).map(|b| f64::from(u32::from_le_bytes(words(b)))).collect()
            }
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::I32 => "i32",
            DType::U32 => "u32",
            DType::Bool => "bool",
        })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that a tensor can be made from and read into: `f32`, `half::f16`, `i32`, `u32`, `bool`.
pub trait Element: sealed::Sealed + Copy + Send + Sync + 'static {
    /// The tensor type this Rust type stands for.
    const DTYPE: DType;
    #[doc(hidden)]
    fn to_f64(self) -> f64;
    #[doc(hidden)]
    fn from_f64(value: f64) -> Self;
    #[doc(hidden)]
    fn device_bytes(values: &[Self]) -> Vec<u8>;
    #[doc(hidden)]
    fn from_device_bytes(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! element {
    ($rust:ty, $dtype:ident, $to:expr, $from:expr) => {
        impl sealed::Sealed for $rust {}
        impl Element for $rust {
            const DTYPE: DType = DType::$dtype;
            fn to_f64(self) -> f64 {
                $to(self)
            }
            fn from_f64(value: f64) -> Self {
                $from(value)
            }
            fn device_bytes(values: &[Self]) -> Vec<u8> {
                bytemuck::cast_slice(values).to_vec()
            }
            fn from_device_bytes(bytes: &[u8]) -> Vec<Self> {
                bytemuck::pod_collect_to_vec(bytes)
            }
        }
    };
}

element!(f32, F32, f64::from, nearest::<f32>);
element!(half::f16, F16, half::f16::to_f64, half::f16::from_f64);
element!(i32, I32, f64::from, nearest::<i32>);
element!(u32, U32, f64::from, nearest::<u32>);

impl sealed::Sealed for bool {}
impl Element for bool {
    const DTYPE: DType = DType::Bool;
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn from_f64(value: f64) -> Self {
        value != 0.0
    }
    fn device_bytes(values: &[Self]) -> Vec<u8> {
        values.iter().flat_map(|&v| u32::from(v).to_le_bytes()).collect()
    }
    fn from_device_bytes(bytes: &[u8]) -> Vec<Self> {
        bytes.chunks_exact(4).map(|b| b != [0; 4]).collect()
    }
}

//! NumPy's files of one array (NEP 1): a magic string, a header that is a Python dictionary, the values.

use super::Array;
use super::array::product;
use super::file::check_expansion;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::number::nearest;
use half::f16;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The longest header that is read; that of an array of 64 dimensions is shorter.
const LONGEST_HEADER: usize = 1 << 14;

/// An array from a `.npy` file, or a member of a `.npz` file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NpyArray {
    /// `float32`.
    F32(Array<f32>),
    /// `float16`.
    F16(Array<f16>),
    /// `float64`.
    F64(Array<f64>),
    /// `uint8`.
    U8(Array<u8>),
    /// `int32`.
    I32(Array<i32>),
    /// `int64`.
    I64(Array<i64>),
    /// `bool`.
    Bool(Array<bool>),
}

impl NpyArray {
    /// Reads a `.npy` file of any version, of values of either byte order, in C or Fortran order. The array is in C order.
    ///
    /// # Errors
    /// [`Error::File`] if it is missing, not such a file, cut off, longer than it says, or of another type: objects,
    /// strings, complex numbers and records among them.
    ///
    /// ```no_run
    /// use wgrad::{Device, data::{Array, NpyArray}};
    /// let device = Device::open()?;
    /// let inputs = NpyArray::read("inputs.npy")?.to_tensor(&device)?;
    /// let labels: Array<i64> = NpyArray::read("labels.npy")?.try_into()?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn read(path: impl AsRef<Path>) -> Result<NpyArray> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        NpyArray::parse(path, BufReader::new(file)).map_err(|reason| Error::file(path, reason))
    }

    /// Sizes.
    pub fn shape(&self) -> &[usize] {
        match self {
            NpyArray::F32(array) => array.shape(),
            NpyArray::F16(array) => array.shape(),
            NpyArray::F64(array) => array.shape(),
            NpyArray::U8(array) => array.shape(),
            NpyArray::I32(array) => array.shape(),
            NpyArray::I64(array) => array.shape(),
            NpyArray::Bool(array) => array.shape(),
        }
    }

    /// The array on a device: floats of 64 bits as f32, truth values as such, integers as i32.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an integer does not fit; as [`Tensor::from_slice`].
    #[track_caller]
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        match self {
            NpyArray::F32(array) => array.to_tensor(device),
            NpyArray::F16(array) => array.to_tensor(device),
            NpyArray::F64(array) => {
                let values: Vec<f32> = array.values().iter().map(|&value| nearest(value)).collect();
                Tensor::from_slice(device, &values, array.shape())
            }
            NpyArray::U8(array) => {
                let values: Vec<i32> = array.values().iter().map(|&value| i32::from(value)).collect();
                Tensor::from_slice(device, &values, array.shape())
            }
            NpyArray::I32(array) => array.to_tensor(device),
            NpyArray::I64(array) => {
                let fitting = |&value: &i64| {
                    i32::try_from(value).map_err(|_| Error::invalid("to_tensor", format!("{value} does not fit i32")))
                };
                let values: Vec<i32> = array.values().iter().map(fitting).collect::<Result<_>>()?;
                Tensor::from_slice(device, &values, array.shape())
            }
            NpyArray::Bool(array) => array.to_tensor(device),
        }
    }

    /// An array from the bytes of the file `path`, or of a member of it. Errors don't name the file.
    pub(super) fn parse(path: &Path, mut input: impl Read) -> Result<NpyArray, String> {
        let header = Header::read(&mut input)?;
        let (kind, size) = (header.kind, header.kind.size());
        let announced = product(&header.shape).and_then(|count| count.checked_mul(size));
        let expected = announced.ok_or_else(|| format!("the sizes {:?} are too large", header.shape))? as u64;
        check_expansion(path, expected).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        // Reads one byte past the end, to notice if there is one.
        let read = input.take(expected.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| format!("damaged after {} of {expected} bytes: {error}", bytes.len()))?;
        if bytes.len() as u64 != expected {
            let found = if (bytes.len() as u64) < expected { bytes.len().to_string() } else { "more".to_string() };
            return Err(format!("{found} bytes of values, expected {expected} for the sizes {:?}", header.shape));
        }
        if header.big_endian {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        Ok(match kind {
            Kind::F32 => NpyArray::F32(header.array(&bytes, f32::from_le_bytes)),
            Kind::F16 => NpyArray::F16(header.array(&bytes, f16::from_le_bytes)),
            Kind::F64 => NpyArray::F64(header.array(&bytes, f64::from_le_bytes)),
            Kind::U8 => NpyArray::U8(header.array(&bytes, |[byte]| byte)),
            Kind::I32 => NpyArray::I32(header.array(&bytes, i32::from_le_bytes)),
            Kind::I64 => NpyArray::I64(header.array(&bytes, i64::from_le_bytes)),
            Kind::Bool => NpyArray::Bool(header.array(&bytes, |[byte]| byte != 0)),
        })
    }
}

macro_rules! into_array {
    ($($kind:ident $rust:ty),*) => {$(
        impl TryFrom<NpyArray> for Array<$rust> {
            type Error = Error;

            /// # Errors
            /// [`Error::Invalid`] if the array is of another type.
            fn try_from(array: NpyArray) -> Result<Array<$rust>> {
                match array {
                    NpyArray::$kind(array) => Ok(array),
                    _ => Err(Error::invalid("NpyArray", concat!("the array is not of ", stringify!($rust)))),
                }
            }
        }
    )*};
}

into_array!(F32 f32, F16 f16, F64 f64, U8 u8, I32 i32, I64 i64, Bool bool);

/// An element type.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    F32,
    F16,
    F64,
    U8,
    I32,
    I64,
    Bool,
}

impl Kind {
    fn size(self) -> usize {
        match self {
            Kind::U8 | Kind::Bool => 1,
            Kind::F16 => 2,
            Kind::F32 | Kind::I32 => 4,
            Kind::F64 | Kind::I64 => 8,
        }
    }
}

/// The header of an array.
pub(crate) struct Header {
    pub kind: Kind,
    pub big_endian: bool,
    pub fortran_order: bool,
    pub shape: Vec<usize>,
    /// Bytes of the header itself.
    pub length: usize,
}

impl Header {
    /// Reads a header, up to the values.
    pub fn read(input: &mut impl Read) -> Result<Header, String> {
        let mut fill =
            |to: &mut [u8]| input.read_exact(to).map_err(|error| format!("it ends within the header: {error}"));
        let mut start = [0; 8];
        fill(&mut start)?;
        if start[..6] != *MAGIC {
            return Err(format!("not an array of NumPy: it begins with {:02x?}", &start[..6]));
        }
        let (digits, length) = match start[6] {
            1 => {
                let mut length = [0; 2];
                fill(&mut length)?;
                (2, usize::from(u16::from_le_bytes(length)))
            }
            2 | 3 => {
                let mut length = [0; 4];
                fill(&mut length)?;
                (4, u32::from_le_bytes(length) as usize)
            }
            version => return Err(format!("its version is {version}; expected 1 to 3")),
        };
        if length > LONGEST_HEADER {
            return Err(format!("its header has {length} bytes; at most {LONGEST_HEADER} are read"));
        }
        let mut text = vec![0; length];
        fill(&mut text)?;
        let text = String::from_utf8(text).map_err(|_| "its header is no text".to_string())?;
        let header = Header::parse(&text).ok_or_else(|| format!("its header is not understood: {}", text.trim()))??;
        Ok(Header { length: start.len() + digits + length, ..header })
    }

    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, in any order; `None` if it is nothing like that.
    fn parse(text: &str) -> Option<Result<Header, String>> {
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim_start();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = quoted(rest)?;
            let value = after.trim_start().strip_prefix(':')?.trim_start();
            rest = match key {
                "descr" => {
                    // A list of fields is the type of records.
                    let (value, rest) = quoted(value)?;
                    descr = Some(value);
                    rest
                }
                "fortran_order" => {
                    let rest = value.strip_prefix("True").or_else(|| value.strip_prefix("False"))?;
                    fortran_order = Some(value.starts_with("True"));
                    rest
                }
                "shape" => {
                    let (inner, rest) = value.strip_prefix('(')?.split_once(')')?;
                    let sizes = inner.split(',').map(str::trim).filter(|size| !size.is_empty());
                    shape = Some(sizes.map(|size| size.parse().ok()).collect::<Option<Vec<usize>>>()?);
                    rest
                }
                _ => return None,
            }
            .trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        let (descr, fortran_order, shape) = (descr?, fortran_order?, shape?);
        let kind = match descr.trim_start_matches(['<', '>', '|', '=']) {
            "f4" => Kind::F32,
            "f2" => Kind::F16,
            "f8" => Kind::F64,
            "u1" => Kind::U8,
            "i4" => Kind::I32,
            "i8" => Kind::I64,
            "b1" => Kind::Bool,
            _ => {
                let expected = "float32, float16, float64, uint8, int32, int64 or bool";
                return Some(Err(format!("its type is {descr}; expected {expected} (see NumPy's astype)")));
            }
        };
        Some(Ok(Header { kind, big_endian: descr.starts_with('>'), fortran_order, shape, length: 0 }))
    }

    /// The values in C order.
    fn array<T: Copy, const N: usize>(self, bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Array<T> {
        let values: Vec<T> = bytes.as_chunks().0.iter().map(|&bytes| value(bytes)).collect();
        let values = if self.fortran_order { c_order(&self.shape, &values) } else { values };
        // The number of bytes was compared with that of the shape.
        Array::of_checked(self.shape, values)
    }
}

/// A string in quotes, and the text behind it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// Values whose first dimension varies fastest, in the order in which the last does.
fn c_order<T: Copy>(shape: &[usize], values: &[T]) -> Vec<T> {
    let mut ordered = Vec::with_capacity(values.len());
    let mut at = vec![0; shape.len()];
    for _ in 0..values.len() {
        let index = at.iter().zip(shape).rev().fold(0, |index, (&at, &size)| index * size + at);
        ordered.push(values[index]);
        for d in (0..shape.len()).rev() {
            at[d] += 1;
            if at[d] < shape[d] {
                break;
            }
            at[d] = 0;
        }
    }
    ordered
}

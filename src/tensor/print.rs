//! A tensor as text, as PyTorch prints it.

use crate::dtype::DType;
use crate::graph::Tensor;
use std::fmt::{self, Write};

/// Tensors of up to this many elements are printed whole.
const ALL: usize = 1000;

/// Elements shown at each end of a longer dimension.
const EDGE: usize = 3;

/// Reads the tensor, which waits for the device, and prints its values, or the error if reading fails.
///
/// ```
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let x = Tensor::from_slice(&device, &[1.0f32, -2.5, 3.0, 4.0], &[2, 2])?;
/// assert_eq!(x.to_string(), "tensor([[1.0000, -2.5000],\n        [3.0000, 4.0000]], [2, 2] f32)");
/// # Ok::<(), wgrad::Error>(())
/// ```
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_f64() {
            Ok(values) => {
                f.write_str("tensor(")?;
                let edge = if values.len() > ALL { EDGE } else { usize::MAX / 2 };
                write_values(f, &values, self.shape(), self.dtype(), edge, "tensor(".len())?;
                write!(f, ", {} {})", self.shape(), self.dtype())
            }
            Err(error) => write!(f, "tensor({} {}: {error})", self.shape(), self.dtype()),
        }
    }
}

fn write_values(
    f: &mut fmt::Formatter<'_>,
    values: &[f64],
    shape: &[usize],
    dtype: DType,
    edge: usize,
    indent: usize,
) -> fmt::Result {
    let Some((&size, inner)) = shape.split_first() else {
        return match dtype {
            DType::Bool => write!(f, "{}", values[0] != 0.0),
            DType::I32 | DType::U32 => write!(f, "{}", values[0]),
            DType::F32 | DType::F16 => write!(f, "{:.4}", values[0]),
        };
    };
    let step: usize = inner.iter().product();
    f.write_char('[')?;
    let mut first = true;
    for i in (0..size).filter(|&i| i <= edge || size - i <= edge) {
        if !first {
            f.write_char(',')?;
            match inner.len() {
                0 => f.write_char(' ')?,
                _ => write!(f, "{}{:indent$}", "\n".repeat(inner.len()), "", indent = indent + 1)?,
            }
        }
        first = false;
        if i == edge && size - i > edge {
            f.write_str("...")?;
        } else {
            write_values(f, &values[i * step..(i + 1) * step], inner, dtype, edge, indent + 1)?;
        }
    }
    f.write_char(']')
}

#[cfg(test)]
mod tests {
    use crate::{Device, Tensor};

    #[test]
    fn long_dimensions_are_cut() {
        let device = Device::reference();
        let values: Vec<i32> = (0..2000).collect();
        let text = Tensor::from_slice(&device, &values, &[2000]).unwrap().to_string();
        assert_eq!(text, "tensor([0, 1, 2, ..., 1997, 1998, 1999], [2000] i32)");
    }

    #[test]
    fn scalars_empty_tensors_and_errors_print() {
        let device = Device::reference();
        assert_eq!(Tensor::scalar(&device, true).unwrap().to_string(), "tensor(true, [] bool)");
        assert_eq!(Tensor::zeros(&device, &[0, 3]).unwrap().to_string(), "tensor([], [0, 3] f32)");
        let index = Tensor::from_slice(&device, &[7], &[1]).unwrap();
        let wrong = Tensor::ones(&device, &[2]).unwrap().gather(0, &index).unwrap();
        assert!(wrong.to_string().contains("index 7 is out of range"), "{wrong}");
    }
}

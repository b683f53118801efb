//! Products of matrices and vectors of fixed dimensions, made of [`matmul`](Tensor::matmul) and pointwise operations.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller, in_place_of};
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::interpose;
use crate::shape::Shape;

/// The error if operands don't have these dimensions.
fn expect(op: &'static str, operands: &[(&str, &Tensor, usize)]) -> Result<()> {
    for (name, tensor, rank) in operands {
        if tensor.rank() != *rank {
            let rule = format!("{name} must have {rank} dimensions; it is {}", tensor.shape());
            return Err(Error::invalid(op, rule));
        }
    }
    Ok(())
}

/// The error if sizes that should be equal are not.
fn agree(op: &'static str, left: &Tensor, right: &Tensor, sizes: &[(usize, usize)]) -> Result<()> {
    match sizes.iter().find(|(a, b)| a != b) {
        None => Ok(()),
        Some((a, b)) => {
            let rule = format!("{} and {}: the sizes {a} and {b} must be the same", left.shape(), right.shape());
            Err(Error::invalid(op, rule))
        }
    }
}

/// Products of several types are hardly ever intended: as in PyTorch, types are not promoted here.
pub(in crate::ops) fn same_type(op: &'static str, operands: &[&Tensor]) -> Result<()> {
    match operands.iter().find(|operand| operand.dtype() != operands[0].dtype()) {
        Some(other) => Err(Error::WrongDType { op, expected: "operands of one type", got: other.dtype() }),
        None => Ok(()),
    }
}

impl Tensor {
    /// The product of two matrices: `[M, K] x [K, N] -> [M, N]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an operand is no matrix or the inner sizes differ; as [`matmul`](Tensor::matmul).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// assert_eq!(x.mm(&x)?.to_vec::<f32>()?, [7.0, 10.0, 15.0, 22.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn mm(&self, mat2: &Tensor) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("mm")? {
            return cast.of(self)?.mm(&cast.of(mat2)?);
        }
        expect("mm", &[("the input", self, 2), ("mat2", mat2, 2)])?;
        agree("mm", self, mat2, &[(self.shape()[1], mat2.shape()[0])])?;
        self.matmul(mat2)
    }

    /// The products of two batches of matrices: `[B, M, K] x [B, K, N] -> [B, M, N]`. Nothing broadcasts.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an operand does not have three dimensions, or batches or inner sizes differ; as
    /// [`matmul`](Tensor::matmul).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 1, 2])?;
    /// assert_eq!(x.bmm(&x.transpose(1, 2)?)?.to_vec::<f32>()?, [5.0, 25.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn bmm(&self, mat2: &Tensor) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("bmm")? {
            return cast.of(self)?.bmm(&cast.of(mat2)?);
        }
        self.batched("bmm", mat2)
    }

    #[track_caller]
    fn batched(&self, op: &'static str, other: &Tensor) -> Result<Tensor> {
        expect(op, &[("the first batch", self, 3), ("the second batch", other, 3)])?;
        let (left, right) = (self.shape(), other.shape());
        agree(op, self, other, &[(left[0], right[0]), (left[2], right[1])])?;
        self.matmul(other)
    }

    /// `beta self + alpha (mat1 x mat2)`: `[M, K] x [K, N] -> [M, N]`, to which this tensor broadcasts.
    ///
    /// If `beta` is 0, this tensor is ignored, NaN and infinities included.
    ///
    /// # Errors
    /// As [`mm`](Tensor::mm); [`Error::Broadcast`] or [`Error::Invalid`] if this tensor does not broadcast.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// let bias = Tensor::from_slice(&device, &[10.0f32, 20.0], &[2])?;
    /// assert_eq!(bias.addmm(&x, &x, 1.0, 2.0)?.to_vec::<f32>()?, [24.0, 40.0, 40.0, 64.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn addmm(&self, mat1: &Tensor, mat2: &Tensor, beta: f64, alpha: f64) -> Result<Tensor> {
        const OP: &str = "addmm";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.addmm(&cast.of(mat1)?, &cast.of(mat2)?, beta, alpha);
        }
        expect(OP, &[("mat1", mat1, 2), ("mat2", mat2, 2)])?;
        agree(OP, mat1, mat2, &[(mat1.shape()[1], mat2.shape()[0])])?;
        self.plus_product(OP, &mat1.matmul(mat2)?, beta, alpha)
    }

    /// `beta self + alpha (batch1 x batch2)`: `[B, M, K] x [B, K, N] -> [B, M, N]`, to which this tensor broadcasts.
    ///
    /// If `beta` is 0, this tensor is ignored, NaN and infinities included.
    ///
    /// # Errors
    /// As [`bmm`](Tensor::bmm); [`Error::Broadcast`] or [`Error::Invalid`] if this tensor does not broadcast.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 1, 2])?;
    /// let one = Tensor::ones(&device, &[])?;
    /// assert_eq!(one.baddbmm(&x, &x.transpose(1, 2)?, 1.0, 1.0)?.to_vec::<f32>()?, [6.0, 26.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn baddbmm(&self, batch1: &Tensor, batch2: &Tensor, beta: f64, alpha: f64) -> Result<Tensor> {
        const OP: &str = "baddbmm";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.baddbmm(&cast.of(batch1)?, &cast.of(batch2)?, beta, alpha);
        }
        self.plus_product(OP, &batch1.batched(OP, batch2)?, beta, alpha)
    }

    #[track_caller]
    fn plus_product(&self, op: &'static str, product: &Tensor, beta: f64, alpha: f64) -> Result<Tensor> {
        let bias = self.expand_to(*product.shape(), op)?;
        let product = if alpha == 1.0 { product.clone() } else { (product * alpha)? };
        if beta == 0.0 {
            return Ok(product);
        }
        let bias = if beta == 1.0 { bias } else { (bias * beta)? };
        bias + &product
    }

    /// The product of a matrix and a vector: `[M, K] x [K] -> [M]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the operands have other dimensions or the inner sizes differ; as
    /// [`matmul`](Tensor::matmul).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// assert_eq!(x.mv(&Tensor::ones(&device, &[2])?)?.to_vec::<f32>()?, [3.0, 7.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn mv(&self, vec: &Tensor) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("mv")? {
            return cast.of(self)?.mv(&cast.of(vec)?);
        }
        expect("mv", &[("the input", self, 2), ("vec", vec, 1)])?;
        agree("mv", self, vec, &[(self.shape()[1], vec.shape()[0])])?;
        self.matmul(vec)
    }

    /// The sum of products of two vectors: `[N] x [N] -> []`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the operands are no vectors or differ in size; [`Error::WrongDType`] for bool and if
    /// types differ.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0], &[3])?;
    /// assert_eq!(x.dot(&x)?.item::<f32>()?, 14.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn dot(&self, tensor: &Tensor) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("dot")? {
            let (left, right) = cast.both(self, tensor)?;
            return left.dot(&right);
        }
        expect("dot", &[("the input", self, 1), ("tensor", tensor, 1)])?;
        agree("dot", self, tensor, &[(self.numel(), tensor.numel())])?;
        same_type("dot", &[self, tensor])?;
        (self * tensor)?.sum_all()
    }

    /// All products of elements of two vectors: `output[i, j] = self[i] vec2[j]`, `[N] x [M] -> [N, M]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the operands are no vectors; [`Error::WrongDType`] for bool and if types differ.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0], &[2])?;
    /// assert_eq!(x.outer(&x)?.to_vec::<f32>()?, [1.0, 2.0, 2.0, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn outer(&self, vec2: &Tensor) -> Result<Tensor> {
        expect("outer", &[("the input", self, 1), ("vec2", vec2, 1)])?;
        self.unsqueeze(1)? * vec2
    }

    /// `self weight^T + bias`, the map of a fully connected layer: `[.., in] -> [.., out]` with `weight` `[out, in]` and `bias`
    /// `[out]`, or any shape that broadcasts to the result. A weight `[in]` gives one output without a dimension:
    /// `[.., in] -> [..]`, without a bias, except for an input `[in]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the weight or the bias does not fit; as [`matmul`](Tensor::matmul) and
    /// [`add`](Tensor::add).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// let weight = Tensor::from_slice(&device, &[1.0f32, 1.0], &[1, 2])?;
    /// let bias = Tensor::from_slice(&device, &[0.5f32], &[1])?;
    /// assert_eq!(x.linear(&weight, Some(&bias))?.to_vec::<f32>()?, [3.5, 7.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        const OP: &str = "linear";
        if let Some(output) = interpose::ask(|by| by.linear(self, weight, bias))? {
            return Ok(output);
        }
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.linear(&cast.of(weight)?, cast.of_some(bias)?.as_ref());
        }
        let is_vector = weight.rank() == 1 && (bias.is_none() || self.rank() == 1);
        let fits = (weight.rank() == 2 || is_vector) && self.rank() > 0 && self.shape().last() == weight.shape().last();
        if !fits {
            let rule = format!(
                "weight {} must be [out, in], or [in] without a bias, and the input's last size must be in; it is {}",
                weight.shape(),
                self.shape()
            );
            return Err(Error::invalid(OP, rule));
        }
        if let Some(bias) = bias.filter(|bias| bias.dtype() != self.dtype()) {
            return Err(Error::WrongDType { op: OP, expected: "a bias of the input's type", got: bias.dtype() });
        }
        let product = if is_vector { self.matmul(weight)? } else { self.matmul(&weight.t()?)? };
        let output = match bias {
            Some(bias) => (&product + bias.expand_to(*product.shape(), OP)?)?,
            None => product,
        };
        Ok(in_place_of(self, output))
    }

    /// A bilinear form for each output, plus a bias:
    /// `output[.., k] = sum over i, j of self[.., i] weight[k, i, j] other[.., j] + bias[k]`, for `weight` `[out, in1, in2]` and
    /// `bias` `[out]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the shapes don't fit; as [`matmul`](Tensor::matmul).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0], &[1, 2])?;
    /// let weight = Tensor::ones(&device, &[3, 2, 2])?;
    /// assert_eq!(x.bilinear(&x, &weight, None)?.to_vec::<f32>()?, [9.0, 9.0, 9.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn bilinear(&self, other: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        const OP: &str = "bilinear";
        if let Some(cast) = autocast::enter(OP)? {
            let given: Vec<&Tensor> = [self, other, weight].into_iter().chain(bias).collect();
            let cast = cast.all(&given)?;
            return cast[0].bilinear(&cast[1], &cast[2], cast.get(3));
        }
        let _line = ascribe_to_caller();
        expect(OP, &[("weight", weight, 3)])?;
        let (&[out, in1, in2], rank) = (&[weight.shape()[0], weight.shape()[1], weight.shape()[2]], self.rank());
        let batch = &self.shape()[..rank.saturating_sub(1)];
        let fits = rank > 0
            && self.shape()[rank - 1] == in1
            && other.shape()[..] == [batch, &[in2]].concat()[..]
            && bias.is_none_or(|bias| bias.shape()[..] == [out]);
        if !fits {
            let rule = format!(
                "inputs {} and {} must be [.., in1] and [.., in2] for weight [out, in1, in2], which is {}, and bias \
                 [out]",
                self.shape(),
                other.shape(),
                weight.shape()
            );
            return Err(Error::invalid(OP, rule));
        }
        let samples: usize = batch.iter().product();
        // [samples, in1] x [in1, out in2], then each sample's [out, in2] x [in2].
        let weight = weight.transpose(0, 1)?.reshape_to(Shape::new(&[in1, out * in2])?)?;
        let half = self.reshape_to(Shape::new(&[samples, in1])?)?.matmul(&weight)?;
        let half = half.reshape_to(Shape::new(&[samples, out, in2])?)?;
        let product = half.matmul(&other.reshape_to(Shape::new(&[samples, in2, 1])?)?)?;
        let product = product.reshape_to(Shape::new(&[batch, &[out]].concat())?)?;
        bias.map_or(Ok(product.clone()), |bias| &product + bias)
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let add = |op, shapes: &[&[usize]], beta: f64, alpha: f64| {
        Case::new(op, shapes, move |x| {
            Ok(vec![if op == "addmm" {
                x[0].addmm(&x[1], &x[2], beta, alpha)?
            } else {
                x[0].baddbmm(&x[1], &x[2], beta, alpha)?
            }])
        })
        .with("beta", beta)
        .with("alpha", alpha)
    };
    vec![
        Case::new("mm", &[&[5, 7], &[7, 3]], |x| Ok(vec![x[0].mm(&x[1])?])),
        Case::new("mm", &[&[5, 0], &[3, 0]], |x| Ok(vec![x[0].mm(&x[1].t()?)?])),
        Case::new("bmm", &[&[3, 5, 7], &[3, 7, 2]], |x| Ok(vec![x[0].bmm(&x[1])?])),
        Case::new("mv", &[&[7, 5], &[7]], |x| Ok(vec![x[0].t()?.mv(&x[1])?])),
        Case::new("dot", &[&[101], &[101]], |x| Ok(vec![x[0].dot(&x[1])?])),
        Case::new("dot", &[&[11], &[11]], |x| Ok(vec![x[0].dot(&x[1])?]))
            .integers(0, -9, 9)
            .integers(1, -9, 9)
            .no_gradient(),
        Case::new("outer", &[&[5], &[7]], |x| Ok(vec![x[0].outer(&x[1])?])),
        add("addmm", &[&[5, 3], &[5, 7], &[7, 3]], 1.0, 1.0),
        add("addmm", &[&[3], &[5, 7], &[7, 3]], 0.5, -2.0),
        add("addmm", &[&[], &[5, 7], &[7, 3]], 0.0, 3.0),
        add("baddbmm", &[&[2, 1, 3], &[2, 5, 7], &[2, 7, 3]], 0.5, 2.0),
        Case::new("linear", &[&[6, 5], &[7, 5], &[7]], |x| Ok(vec![x[0].linear(&x[1], Some(&x[2]))?])),
        Case::new("linear", &[&[2, 3, 5], &[5]], |x| Ok(vec![x[0].linear(&x[1], None)?])),
        Case::new("linear", &[&[6, 5], &[7, 5], &[7]], |x| {
            let [input, weight, bias] = [0, 1, 2].map(|i| x[i].to_dtype(DType::F16));
            Ok(vec![input?.linear(&weight?, Some(&bias?))?])
        })
        .half(),
        Case::new("bilinear", &[&[2, 3, 4], &[2, 3, 5], &[6, 4, 5], &[6]], |x| {
            Ok(vec![x[0].bilinear(&x[1], &x[2], Some(&x[3]))?])
        }),
    ]
}

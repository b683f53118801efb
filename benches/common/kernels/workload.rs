//! A row of the table.

use wgrad::ops::case::{Case, Input, Run};
use wgrad::{DType, Result, Tensor};

/// A call of an operation at a size, with its known costs.
pub struct Workload {
    /// PyTorch's name of the operation.
    pub op: &'static str,
    /// The row's name.
    pub name: String,
    /// The inputs.
    pub inputs: Vec<Input>,
    /// The call.
    pub run: Run,
    /// True if there is a gradient to time.
    pub differentiable: bool,
    /// Floating-point operations of the forward pass for each element of the result, if they can be counted.
    pub flops: Option<usize>,
    /// Those of the backward pass as a multiple of the forward pass's.
    pub backward_flops: f64,
    /// Rows, columns and terms of the matrix product, for the comparison with the `gemm` crate.
    pub product: Option<[usize; 3]>,
}

/// Sizes in quick mode.
const TINY: usize = 8;

impl Workload {
    /// A call with one result on f32 inputs, in quick mode with all sizes cut down.
    pub fn new(
        op: &'static str,
        name: &str,
        shapes: &[&[usize]],
        is_quick: bool,
        run: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Workload {
        let most = if is_quick { TINY } else { usize::MAX };
        let input = |shape: &&[usize]| Input {
            shape: shape.iter().map(|&size| size.min(most)).collect(),
            dtype: DType::F32,
            domain: (-2.0, 2.0),
            kinks: &[],
            distinct: false,
        };
        Workload {
            op,
            name: name.to_string(),
            inputs: shapes.iter().map(input).collect(),
            run: Box::new(move |x| Ok(vec![run(x)?])),
            differentiable: true,
            flops: None,
            backward_flops: 1.0,
            product: None,
        }
    }

    /// A case of an operation with other inputs.
    pub fn of(case: Case, inputs: Vec<Input>) -> Workload {
        let case = Case { inputs, ..case };
        Workload {
            op: case.op,
            name: case.name(),
            inputs: case.inputs,
            run: case.run,
            differentiable: case.differentiable,
            flops: None,
            backward_flops: 1.0,
            product: None,
        }
    }

    /// Input `index` holds the indices of the largest dimension of another one.
    pub fn indices(mut self, index: usize, count: usize, is_quick: bool) -> Workload {
        let count = if is_quick { count.min(TINY) } else { count };
        self.inputs[index].dtype = DType::I32;
        self.inputs[index].domain = (0.0, (count - 1) as f64);
        self
    }

    /// All inputs are 16-bit floats.
    pub fn half(mut self) -> Workload {
        self.inputs.iter_mut().for_each(|input| input.dtype = DType::F16);
        self
    }

    /// Counts its operations for each element of the result, from the shapes of its inputs.
    pub fn flops(mut self, backward: f64, count: impl Fn(&[Input]) -> usize) -> Workload {
        self.flops = Some(count(&self.inputs));
        self.backward_flops = backward;
        self
    }
}

//! Sums over the parameters of a pack, or over the rows of their weights: two launches for all of them.

use crate::error::Result;
use crate::graph::{Pack, Segment, Tensor};
use crate::number::nearest;
use crate::ops::PACK_ALIGNMENT;
use std::iter;

/// Elements that are added up in one piece: an invocation adds up 64 of them.
const MOST_OF_CHUNK: usize = 4096;

/// Runs of elements of a pack that belong together. Elements between parameters have arbitrary values and belong to no run.
pub(super) struct Runs {
    /// Pieces of parameters, `[C, 2]`: first element and length.
    chunks: Tensor,
    /// The pieces of each parameter, `[P, 2]`.
    parameters: Tensor,
    /// The number of elements of each parameter, `[P]`.
    numels: Tensor,
    /// The parameter of each block, `[blocks]`.
    of_block: Tensor,
}

/// The rows of a pack's weights: the weights of one output of a layer. A parameter of one dimension or none is one row.
pub(super) struct Rows {
    /// `[R, 2]`: first element and length.
    rows: Tensor,
    /// The row of each element.
    of_element: Tensor,
}

/// Lists of two numbers as i32 `[n, 2]`.
fn pairs(like: &Tensor, pairs: &[[usize; 2]]) -> Result<Tensor> {
    let words: Vec<i32> = pairs.iter().flatten().map(|&word| nearest(word)).collect();
    Tensor::from_slice(like.device(), &words, &[pairs.len(), 2])
}

impl Runs {
    pub fn new(pack: &Pack) -> Result<Runs> {
        let whole = pack.value();
        let (mut chunks, mut parameters, mut of_block) = (Vec::new(), Vec::new(), Vec::new());
        let numels: Vec<f32> = pack.segments().iter().map(|segment| segment.shape.numel() as f32).collect();
        for (parameter, &Segment { start, shape }) in pack.segments().iter().enumerate() {
            let (numel, first) = (shape.numel(), chunks.len());
            let pieces = (0..numel).step_by(MOST_OF_CHUNK);
            chunks.extend(pieces.map(|from| [start + from, MOST_OF_CHUNK.min(numel - from)]));
            parameters.push([first, chunks.len() - first]);
            of_block.extend(iter::repeat_n(nearest::<i32>(parameter), numel.div_ceil(PACK_ALIGNMENT)));
        }
        let of_block = Tensor::from_slice(whole.device(), &of_block, &[of_block.len()])?;
        let numels = Tensor::from_slice(whole.device(), &numels, &[numels.len()])?;
        Ok(Runs { chunks: pairs(&whole, &chunks)?, parameters: pairs(&whole, &parameters)?, numels, of_block })
    }

    /// The sum over all parameters, `[1, 1]`.
    pub fn total(&self, elements: &Tensor) -> Result<Tensor> {
        elements.run_sums(&self.chunks)?.sum_all()?.reshape(&[1, 1])
    }

    /// For each element the sum over its parameter, in the shape of the elements.
    pub fn sum_by_parameter(&self, elements: &Tensor) -> Result<Tensor> {
        self.spread(&self.sums(elements)?, elements)
    }

    /// For each element the mean over its parameter, in the shape of the elements.
    pub fn mean_by_parameter(&self, elements: &Tensor) -> Result<Tensor> {
        self.spread(&self.sums(elements)?.div(&self.numels)?, elements)
    }

    /// The sum over each parameter, `[P]`.
    fn sums(&self, elements: &Tensor) -> Result<Tensor> {
        elements.run_sums(&self.chunks)?.run_sums(&self.parameters)
    }

    /// For each element the number of its parameter, in the shape of `like`.
    fn spread(&self, numbers: &Tensor, like: &Tensor) -> Result<Tensor> {
        numbers.index_select(0, &self.of_block)?.unsqueeze(1)?.expand_to(*like.shape(), "parameters")
    }
}

impl Rows {
    pub fn new(pack: &Pack) -> Result<Rows> {
        let whole = pack.value();
        let (mut rows, mut of_element) = (Vec::new(), vec![0; whole.numel()]);
        for &Segment { start, shape } in pack.segments() {
            let count = if shape.len() > 1 { shape[0] } else { 1 };
            let length = shape.numel() / count.max(1);
            for row in 0..count {
                let first = start + row * length;
                of_element[first..first + length].fill(nearest::<i32>(rows.len()));
                rows.push([first, length]);
            }
        }
        let of_element = Tensor::from_slice(whole.device(), &of_element, &[of_element.len()])?;
        Ok(Rows { rows: pairs(&whole, &rows)?, of_element })
    }

    /// The sum of each row, `[R]`.
    pub fn sums(&self, elements: &Tensor) -> Result<Tensor> {
        elements.run_sums(&self.rows)
    }

    /// For each element the number of its row, in the shape of `like`.
    pub fn spread(&self, numbers: &Tensor, like: &Tensor) -> Result<Tensor> {
        numbers.index_select(0, &self.of_element)?.reshape_to(*like.shape())
    }
}

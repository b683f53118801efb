//! The part of an input that one output of a network sees (Araujo et al., "Computing Receptive Fields of Convolutional Neural
//! Networks", 2019).

use crate::error::{Error, Result};
use crate::graph::{Node, Tensor, Window, no_grad, tracing, with_trace};
use crate::nn::Module;
use crate::nn::summary::zeros;
use crate::number::nearest;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// The part of an input that one position of an output depends on, along each of the input's dimensions after `[N, C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceptiveField {
    /// Positions from the first to the last that it depends on, those of paddings included, so that it may be more than the
    /// input has.
    pub size: Vec<usize>,
    /// Step from one output's field to the next one's; below 1 if the output is larger than the input.
    pub stride: Vec<f64>,
    /// Distance from the start of the first output's field to the input's first position.
    pub padding: Vec<f64>,
}

/// The receptive field of a module's outputs, for an input of a shape `[N, C, ..]`.
///
/// A convolution or a pooling of `k` taps with dilation `d`, stride `s` and padding `p` makes `size += (d (k - 1)) stride`,
/// `padding += p stride`, `stride *= s`. If branches meet, the largest counts. A mean over all positions, and any operation that
/// reorders positions, such as flattening, sees all of them. Norms are taken for maps of single positions.
///
/// ```
/// # use wgrad::{Conv2dOptions, Device, nn::{self, Conv2d, Scope, Sequential}};
/// let scope = Scope::new(&Device::reference());
/// let conv = |s: &Scope| Conv2d::new(s, 3, 3, [3, 3], &Conv2dOptions::default());
/// let net = Sequential::new(&scope).make(conv)?.make(conv)?.make(conv)?;
/// assert_eq!(nn::receptive_field(&net, &[1, 3, 16, 16])?.size, [7, 7]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] if the output doesn't depend on the input, or the input has no dimensions after `[N, C]`; those of
/// [`Module::summary`].
pub fn receptive_field(module: &dyn Module, input: &[usize]) -> Result<ReceptiveField> {
    let input = zeros(module, input)?;
    let field = tracing(|| no_grad(|| Ok(Fields::new(&input).of(&module.forward(&input)?))))?;
    let rule = "the output sees no position of the input; expected [N, C, ..] and an output that depends on it";
    field.ok_or_else(|| Error::invalid("receptive_field", rule))
}

/// The field along one dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Along {
    size: f64,
    stride: f64,
    padding: f64,
}

impl Along {
    /// The field seen through one more window.
    fn through(self, window: Window) -> Along {
        Along {
            size: self.size + (window.size - 1.0) * self.stride,
            stride: self.stride * window.stride,
            padding: self.padding + window.padding * self.stride,
        }
    }

    /// The larger of both.
    fn or(self, other: Along) -> Along {
        Along {
            size: self.size.max(other.size),
            stride: self.stride.max(other.stride),
            padding: self.padding.max(other.padding),
        }
    }
}

/// The field of a value, along each dimension of the input.
#[derive(Clone, Debug)]
struct Field {
    along: Vec<Along>,
    /// The dimensions of the value that are the input's; `None` if positions can't be told apart any more.
    dims: Option<Vec<usize>>,
}

impl Field {
    /// The field of a value that sees all positions.
    fn whole(&self, value: &[usize]) -> Field {
        let Some(dims) = &self.dims else { return self.clone() };
        let all = |(&along, &dim): (&Along, &usize)| {
            along.through(Window { size: value[dim].max(1) as f64, stride: 1.0, padding: 0.0 })
        };
        Field { along: self.along.iter().zip(dims).map(all).collect(), dims: None }
    }

    /// The field of a value that depends on both.
    fn or(self, other: Field) -> Field {
        let along = self.along.iter().zip(&other.along).map(|(a, b)| a.or(*b)).collect();
        Field { along, dims: self.dims.or(other.dims) }
    }
}

/// The fields of traced values, computed when they are asked for.
pub(super) struct Fields {
    known: HashMap<u64, Option<Field>>,
}

impl Fields {
    /// The fields of values that are computed from `input`.
    pub fn new(input: &Tensor) -> Fields {
        let dims: Vec<usize> = (2..input.rank()).collect();
        let along = vec![Along { size: 1.0, stride: 1.0, padding: 0.0 }; dims.len()];
        let field = (!dims.is_empty()).then_some(Field { along, dims: Some(dims) });
        Fields { known: HashMap::from([(input.node.id, field)]) }
    }

    /// The field of a value; `None` if it does not depend on the input.
    pub fn of(&mut self, value: &Tensor) -> Option<ReceptiveField> {
        let mut missing: Vec<Arc<Node>> = Vec::new();
        let mut waiting = vec![value.node.clone()];
        while let Some(node) = waiting.pop() {
            if let Entry::Vacant(entry) = self.known.entry(node.id) {
                entry.insert(None);
                waiting.extend(inputs(&node).into_iter().map(|(input, _)| input.node));
                missing.push(node);
            }
        }
        // A node's inputs are older than it is.
        missing.sort_by_key(|node| node.id);
        for node in missing {
            let fields = inputs(&node).into_iter().filter_map(|(input, windows)| {
                let field = self.known.get(&input.node.id)?.clone()?;
                Some(step(field, &input, &node, windows))
            });
            let field = fields.reduce(Field::or);
            self.known.insert(node.id, field);
        }
        let Field { along, .. } = self.known.get(&value.node.id)?.clone()?;
        Some(ReceptiveField {
            size: along.iter().map(|along| nearest::<usize>(along.size.ceil())).collect(),
            stride: along.iter().map(|along| along.stride).collect(),
            padding: along.iter().map(|along| along.padding).collect(),
        })
    }
}

/// The operands of a call, and their windows if those were noted.
fn inputs(node: &Node) -> Vec<(Tensor, Option<Vec<Window>>)> {
    if let Some(seen) = with_trace(|trace| {
        let seen = trace.seen.get(&node.id)?;
        Some((seen.input.clone(), Some(seen.windows.clone())))
    }) {
        return vec![seen];
    }
    let mut all = Vec::new();
    node.state.lock().inputs.clone().for_each(|input| all.push((input, None)));
    all
}

/// The field of a call's output, from that of one input.
fn step(field: Field, input: &Tensor, node: &Node, windows: Option<Vec<Window>>) -> Field {
    let (from, to) = (&input.shape()[..], &node.outputs[0].shape[..]);
    let Some(dims) = &field.dims else { return field };
    if let Some(windows) = windows {
        // The windows are for the last dimensions, and so is the field in an image.
        let skipped = dims.len().saturating_sub(windows.len());
        let window =
            |at: usize| at.checked_sub(skipped).and_then(|at| windows.get(at)).copied().unwrap_or(Window::SAME);
        let along = field.along.iter().enumerate().map(|(at, along)| along.through(window(at))).collect();
        return Field { along, dims: field.dims };
    }
    if node.op.name() == "permute" {
        let strides = [input.layout().strides(), node.outputs[0].strides()];
        let moved =
            |&dim: &usize| (0..to.len()).find(|&new| (to[new], strides[1][new]) == (from[dim], strides[0][dim]));
        let dims = dims.iter().map(moved).collect();
        return Field { dims, ..field };
    }
    let moved: Option<Vec<usize>> = dims.iter().map(|dim| (dim + to.len()).checked_sub(from.len())).collect();
    match moved {
        // Slices, paddings and joins keep the order of positions; a reduction leaves a single one.
        Some(moved) if dims.iter().zip(&moved).all(|(&old, &new)| is_kept(from, to, old, new)) => {
            Field { dims: Some(moved), ..field }
        }
        _ => field.whole(from),
    }
}

/// True if a dimension still tells the same positions apart.
fn is_kept(from: &[usize], to: &[usize], old: usize, new: usize) -> bool {
    from[old] == to[new] || (from.len() == to.len() && to[new] != 1) || from[old] == 1
}

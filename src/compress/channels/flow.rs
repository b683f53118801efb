//! Labels through a recorded forward pass: from parameters and operands to results, call by call.

use super::labels::{Axes, FIXED, FREE, Label, Labels, unknown};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Class, Node, Parameter, Tensor};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::shape::Layout;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Kernels that see each channel by itself, through windows over the last dimensions.
const WINDOWS: [&str; 6] =
    ["max_pool2d", "avg_pool2d", "adaptive_avg_pool", "adaptive_max_pool", "resample", "max_unpool"];

/// Kernels that move elements and compute nothing.
const MOVES: [&str; 2] = ["cat", "pad"];

/// An axis of a parameter, by the number of that.
pub(super) type Place = (usize, usize);

/// The labels of a network's parameters after a forward pass.
pub(super) struct Flow {
    pub labels: Labels,
    /// One for each parameter.
    pub axes: Vec<Axes>,
    /// The first label of each axis of a parameter that is not a single place.
    starts: BTreeMap<Label, Place>,
    /// The axes whose places each compute a channel of a product's or convolution's result.
    pub filters: Vec<Place>,
    /// True of the parameters that the pass reads.
    pub reached: Vec<bool>,
}

impl Flow {
    /// Follows the labels of some parameters, whose values are `leaves`, to the outputs.
    pub fn new(parameters: &[Parameter], leaves: &[Tensor], outputs: &[Tensor]) -> Result<Flow> {
        let mut labels = Labels::new();
        let mut starts = BTreeMap::new();
        let mut axes = Vec::new();
        for (number, parameter) in parameters.iter().enumerate() {
            let shape = parameter.holds().0;
            let of_axis = |(axis, &size): (usize, &usize)| {
                let labels = labels.axis(size);
                if size > 1 {
                    starts.insert(labels[0], (number, axis));
                }
                labels
            };
            axes.push(shape.iter().enumerate().map(of_axis).collect::<Axes>());
        }
        let reached = vec![false; parameters.len()];
        let mut flow = Flow { labels, axes, starts, filters: Vec::new(), reached };
        let mut known: HashMap<(u64, usize), Axes> = HashMap::new();
        let of_leaf: HashMap<u64, usize> =
            leaves.iter().enumerate().map(|(number, leaf)| (leaf.node.id, number)).collect();
        for node in nodes(outputs) {
            let of_node = match of_leaf.get(&node.id) {
                Some(&number) => {
                    flow.reached[number] = true;
                    vec![flow.axes[number].clone()]
                }
                None => {
                    let inputs: Vec<Tensor> = node.state.lock().inputs.to_vec();
                    let inputs: Vec<(&Layout, &Axes)> =
                        inputs.iter().map(|input| (input.layout(), &known[&input.key()])).collect();
                    flow.call(&node, &inputs)?
                }
            };
            known.extend(of_node.into_iter().enumerate().map(|(output, axes)| ((node.id, output), axes)));
        }
        for axis in outputs.iter().flat_map(|output| &known[&output.key()]) {
            flow.labels.fix(axis);
        }
        Ok(flow)
    }

    /// The axis of a parameter that a label was made for.
    fn place(&self, label: Label) -> Option<Place> {
        (label > FREE).then(|| self.starts.range(..=label).next_back()).flatten().map(|(_, &place)| place)
    }

    /// The labels of a call's outputs.
    fn call(&mut self, node: &Arc<Node>, inputs: &[(&Layout, &Axes)]) -> Result<Vec<Axes>> {
        let outputs = &node.outputs;
        let name = node.op.name();
        let one = |axes: Axes| Ok(vec![axes]);
        match (node.op.class(), inputs) {
            (Class::Leaf, _) => Ok(outputs.iter().map(fixed).collect()),
            _ if inputs.is_empty() => Ok(outputs.iter().map(free).collect()),
            (Class::View, [(input, axes)]) if name == "expand" => one(expanded(input, axes, &outputs[0])),
            (Class::View, [(input, axes), ..]) => match permuted(input, axes, &outputs[0]) {
                Some(axes) => one(axes),
                None => one(self.moved(node, &inputs[..1])?),
            },
            (Class::Pointwise(_), [(_, first), rest @ ..]) => {
                let join = |so_far: Axes, (_, axes): &(&Layout, &Axes)| {
                    so_far.iter().zip(*axes).map(|(one, other)| self.labels.join_axes(one, other)).collect()
                };
                one(rest.iter().fold((*first).clone(), join))
            }
            (Class::Rows { dims, .. }, [(_, axes)]) => one(self.reduced(axes, dims, &outputs[0])),
            (Class::Kernel, [..]) if MOVES.contains(&name) => one(self.moved(node, inputs)?),
            (Class::Kernel, [(input, axes), ..]) if WINDOWS.contains(&name) => {
                Ok(outputs.iter().map(|output| self.windowed(input, axes, output)).collect())
            }
            (Class::Kernel, [(_, left), (_, right)]) if name == "matmul" => one(self.product(left, right)),
            (Class::Kernel, [(image, of_image), (_, of_weight)]) if name == "conv2d" => {
                one(self.convolution(image, of_image, of_weight, &outputs[0]))
            }
            (Class::Kernel, [(_, of_image), (weight, of_weight)])
                if name == "conv2d_backward_data" && weight.shape[1] == outputs[0].shape[1] =>
            {
                one(self.transposed(of_image, of_weight, &outputs[0]))
            }
            _ => {
                inputs.iter().flat_map(|(_, axes)| *axes).for_each(|axis| self.labels.fix(axis));
                Ok(outputs.iter().map(fixed).collect())
            }
        }
    }

    /// Reductions over some dimensions, and formulas of their results: along those, every position counts.
    fn reduced(&mut self, axes: &Axes, dims: &[usize], output: &Layout) -> Axes {
        dims.iter().for_each(|&dim| self.labels.fix(&axes[dim]));
        let rank = output.shape.len();
        let kept: Vec<usize> = (0..axes.len()).filter(|dim| rank == axes.len() || !dims.contains(dim)).collect();
        let of = |(&dim, &size): (&usize, &usize)| if dims.contains(&dim) { unknown(size) } else { axes[dim].clone() };
        kept.iter().zip(output.shape.iter()).map(of).collect()
    }

    fn windowed(&mut self, input: &Layout, axes: &Axes, output: &Layout) -> Axes {
        let windows = axes.len().saturating_sub(2);
        axes[windows..].iter().for_each(|axis| self.labels.fix(axis));
        let sizes = output.shape.iter().enumerate();
        sizes
            .map(|(dim, &size)| match dim < windows && input.shape.get(dim) == Some(&size) {
                true => axes[dim].clone(),
                false => unknown(size),
            })
            .collect()
    }

    /// `[.., M, K] x [.., K, N]`.
    fn product(&mut self, left: &Axes, right: &Axes) -> Axes {
        let ([.., rows, inner], [.., other, columns]) = (&left[..], &right[..]) else { return Axes::new() };
        self.labels.join_axes(inner, other);
        for axis in [rows, columns] {
            self.filters.extend(axis.first().and_then(|&label| self.place(label)));
        }
        let batch = left.len() - 2;
        let mut axes: Axes = (0..batch).map(|dim| self.labels.join_axes(&left[dim], &right[dim])).collect();
        axes.extend([rows.clone(), columns.clone()]);
        axes
    }

    /// `[N, groups I, H, W]` and `[groups O, I, ..]`. A group that is not a single channel loses as many channels as all others.
    fn convolution(&mut self, image: &Layout, of_image: &Axes, of_weight: &Axes, output: &Layout) -> Axes {
        let (filters, readers) = (&of_weight[0], &of_weight[1]);
        self.filters.extend(filters.first().and_then(|&label| self.place(label)));
        let groups = image.shape[1] / readers.len();
        let per_group = filters.len() / groups.max(1);
        match (groups, readers.len()) {
            (1, _) => drop(self.labels.join_axes(&of_image[1], readers)),
            (_, 1) => {
                for (at, &filter) in filters.iter().enumerate() {
                    self.labels.join(of_image[1][at / per_group], filter);
                }
            }
            (_, inputs) => {
                for (at, &channel) in of_image[1].iter().enumerate() {
                    self.labels.join(channel, readers[at % inputs]);
                }
                for (at, &filter) in filters.iter().enumerate() {
                    self.labels.join(filter, filters[at % per_group]);
                }
            }
        }
        let spatial = output.shape[2..].iter().map(|&size| unknown(size));
        [of_image[0].clone(), filters.clone()].into_iter().chain(spatial).collect()
    }

    /// `[N, I, H, W]` and `[I, O, ..]`.
    fn transposed(&mut self, of_image: &Axes, of_weight: &Axes, output: &Layout) -> Axes {
        self.labels.join_axes(&of_image[1], &of_weight[0]);
        self.filters.extend(of_weight[1].first().and_then(|&label| self.place(label)));
        let spatial = output.shape[2..].iter().map(|&size| unknown(size));
        [of_image[0].clone(), of_weight[1].clone()].into_iter().chain(spatial).collect()
    }

    /// Moves labels as elements move: a call of the operation on labels instead of values, one axis at a time. Labels
    /// that no axis of the output shows by itself are fixed.
    fn moved(&mut self, node: &Arc<Node>, inputs: &[(&Layout, &Axes)]) -> Result<Axes> {
        let output = &node.outputs[0];
        let mut axes: Vec<Option<Vec<Label>>> = vec![None; output.shape.len()];
        let rank = inputs.iter().map(|(_, axes)| axes.len()).max().unwrap_or(0);
        for axis in 0..rank {
            let labels: Vec<&Vec<Label>> = inputs.iter().filter_map(|(_, axes)| axes.get(axis)).collect();
            if labels.iter().all(|labels| labels.iter().all(|&label| label <= FREE)) {
                continue;
            }
            let coded: Vec<HostTensor> = inputs.iter().map(|(layout, axes)| coded(layout, axes, axis)).collect();
            let moved = node.op.reference(&coded)?.remove(0);
            let seen = (0..axes.len()).find_map(|dim| Some((dim, along(&moved, dim)?)));
            match seen {
                Some((dim, seen)) if axes[dim].is_none() => axes[dim] = Some(seen),
                _ => labels.into_iter().for_each(|labels| self.labels.fix(labels)),
            }
        }
        let sizes = output.shape.iter();
        Ok(axes.into_iter().zip(sizes).map(|(axis, &size)| axis.unwrap_or_else(|| unknown(size))).collect())
    }
}

/// The nodes that tensors are computed from, their own included, in the order in which they were recorded.
fn nodes(outputs: &[Tensor]) -> Vec<Arc<Node>> {
    let mut found: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
    let mut waiting: Vec<Arc<Node>> = outputs.iter().map(|output| output.node.clone()).collect();
    while let Some(node) = waiting.pop() {
        if found.contains_key(&node.id) {
            continue;
        }
        waiting.extend(node.state.lock().inputs.iter().map(|input| input.node.clone()));
        found.insert(node.id, node);
    }
    found.into_values().collect()
}

fn fixed(layout: &Layout) -> Axes {
    layout.shape.iter().map(|&size| unknown(size)).collect()
}

fn free(layout: &Layout) -> Axes {
    layout.shape.iter().map(|&size| vec![FREE; size]).collect()
}

/// A repeated axis takes the labels of its readers.
fn expanded(input: &Layout, axes: &Axes, output: &Layout) -> Axes {
    let added = output.shape.len() - input.shape.len();
    let of = |(dim, &size): (usize, &usize)| match dim.checked_sub(added) {
        Some(old) if input.shape[old] == size => axes[old].clone(),
        _ => vec![FREE; size],
    };
    output.shape.iter().enumerate().map(of).collect()
}

/// The axes of a view that shows all elements by the same steps, in another order: without moving the weights of large layers.
fn permuted(input: &Layout, axes: &Axes, output: &Layout) -> Option<Axes> {
    if input.shape.numel() != output.shape.numel() {
        return None;
    }
    let known = input.steps(0..input.shape.len());
    let of = |step: (usize, usize)| match step {
        (1, _) => Some(unknown(1)),
        (_, 0) => None,
        _ => known.iter().position(|other| *other == step).map(|dim| axes[dim].clone()),
    };
    output.steps(0..output.shape.len()).into_iter().map(of).collect()
}

/// A fraction that tells labels from numbers which an operation puts in.
const MARK: f64 = 0.25;

/// A tensor whose elements are the labels of their places along one axis.
fn coded(layout: &Layout, axes: &Axes, axis: usize) -> HostTensor {
    let label = |at: &[usize]| axes.get(axis).map_or(FIXED, |labels| labels[at[axis]]);
    HostTensor::from_fn(layout.shape, DType::F32, |at| f64::from(label(at)) + MARK)
}

/// The labels along a dimension, where they depend on the place along that alone.
fn along(moved: &HostTensor, dim: usize) -> Option<Vec<Label>> {
    let size = moved.shape[dim];
    let inner: usize = moved.shape[dim + 1..].iter().product();
    let mut labels: Vec<Option<Label>> = vec![None; size];
    for (at, &value) in moved.values.iter().enumerate() {
        let label = if value.fract() == MARK { nearest::<u32>(value) } else { FIXED };
        match &mut labels[at / inner % size] {
            Some(known) if *known != label => return None,
            known => *known = Some(label),
        }
    }
    let labels: Option<Vec<Label>> = labels.into_iter().collect();
    labels.filter(|labels| size > 1 && labels.iter().any(|&label| label > FREE))
}

//! The reverse walk: from outputs to the gradients of what they were computed from.

use crate::error::{Error, Result};
use crate::graph::checkpoint::Checkpoint;
use crate::graph::list::Few;
use crate::graph::node::{Node, Tensor, grad_enabled, no_grad, walking, with_grad};
use crate::graph::op::{Op, Vjp};
use crate::graph::{ascribe, ascribe_to_caller};
use crate::options::options;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

options! {
    /// Options of [`Tensor::backward_with`].
    #[derive(Clone, Debug)]
    BackwardOptions {
        /// The gradient fed into the tensor, of its shape and type; ones where it is left out, which needs a single element.
        gradient: Option<Tensor> = None,
        /// Leaves the graph whole, so that it can be walked again.
        retain_graph: bool = false,
        /// Records the gradients' own history, so that they can be differentiated; implies `retain_graph`.
        create_graph: bool = false,
    }
}

/// Gradients of `outputs` with respect to `inputs`: for each input the sum over outputs of
/// `cotangent^T (d output / d input)`, or `None` where no output depends on it.
///
/// The graph stays, and the gradients have a history of their own: call `grad` on them for second
/// derivatives (inside [`no_grad`](crate::no_grad) they have none). Adjoints of a value used twice add up.
///
/// # Errors
/// [`Error::Invalid`] if a cotangent's shape or type differs from its output's, [`Error::DeviceMismatch`],
/// [`Error::NotDifferentiable`], [`Error::GraphReleased`].
///
/// ```
/// use wgrad::{Device, Tensor, grad};
/// let device = Device::reference();
/// let x = Tensor::from_slice(&device, &[3.0f32], &[1])?.requires_grad();
/// let y = (&x * &x * &x)?;
/// let one = Tensor::ones(&device, &[1])?;
/// let first = grad(&[&y], &[&x], &[&one])?.remove(0).unwrap();
/// let second = grad(&[&first], &[&x], &[&one])?.remove(0).unwrap();
/// assert_eq!(first.to_vec::<f32>()?, [27.0]);
/// assert_eq!(second.to_vec::<f32>()?, [18.0]); // 6 x
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn grad(outputs: &[&Tensor], inputs: &[&Tensor], cotangents: &[&Tensor]) -> Result<Vec<Option<Tensor>>> {
    gradients(outputs, inputs, cotangents, None)
}

/// Gives calls of some operations another gradient: the gradients of their inputs, or `None` where the operation's own
/// holds.
pub type GradientRule<'a> = dyn FnMut(&dyn Op, &Vjp<'_>) -> Result<Option<Vec<Option<Tensor>>>> + 'a;

/// [`grad`] in which calls of some operations have another gradient: for guided backpropagation, for estimators that pass
/// straight through a rounding, for attributions by differences.
///
/// # Errors
/// Those of [`grad`] and of the rule.
///
/// ```
/// use wgrad::custom::{Op, Vjp, grad_by};
/// use wgrad::{Device, Tensor};
/// let device = Device::reference();
/// let x = Tensor::from_slice(&device, &[0.4f32, 1.7], &[2])?.requires_grad();
/// let y = (x.round()? * 3.0)?;
/// let straight_through = &mut |op: &dyn Op, call: &Vjp| match op.name() {
///     "round" => Ok(Some(vec![Some(call.cotangent()?)])),
///     _ => Ok(None),
/// };
/// let gradients = grad_by(&[&y], &[&x], &[&y.ones_like()?], straight_through)?;
/// assert_eq!(gradients[0].as_ref().unwrap().to_vec::<f32>()?, [3.0, 3.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn grad_by(
    outputs: &[&Tensor],
    inputs: &[&Tensor],
    cotangents: &[&Tensor],
    rule: &mut GradientRule<'_>,
) -> Result<Vec<Option<Tensor>>> {
    gradients(outputs, inputs, cotangents, Some(rule))
}

/// The gradient of the sum of some values with respect to a tensor that they were computed from, without a history: zeros where
/// they do not depend on it. Operations that `rule` knows have its gradient.
pub(crate) fn gradient_of_sum(values: &Tensor, input: &Tensor, rule: Option<&mut GradientRule<'_>>) -> Result<Tensor> {
    no_grad(|| {
        let found = gradients(&[values], &[input], &[&values.ones_like()?], rule)?;
        found.into_iter().flatten().next().map_or_else(|| input.zeros_like(), Ok)
    })
}

fn gradients(
    outputs: &[&Tensor],
    inputs: &[&Tensor],
    cotangents: &[&Tensor],
    rule: Option<&mut GradientRule<'_>>,
) -> Result<Vec<Option<Tensor>>> {
    if outputs.len() != cotangents.len() {
        let rule = format!("{} outputs need as many cotangents, not {}", outputs.len(), cotangents.len());
        return Err(Error::invalid("grad", rule));
    }
    let seeds = outputs.iter().zip(cotangents).map(|(&o, &c)| (o.clone(), c.clone())).collect();
    let keep: Vec<Tensor> = inputs.iter().map(|&t| t.clone()).collect();
    let mut walk = walk("grad", seeds, &keep, grad_enabled(), rule)?;
    Ok(inputs.iter().map(|t| walk.adjoints.remove(&(t.node.id, t.output)).map(|(_, g)| g)).collect())
}

impl Tensor {
    /// Computes the gradients of every leaf this scalar depends on, and adds them to the leaves' `grad`.
    ///
    /// Releases the graph, as PyTorch does; see [`backward_with`](Tensor::backward_with) to keep it.
    ///
    /// # Errors
    /// [`Error::NoGradient`] if nothing requires a gradient, [`Error::Invalid`] if this is not a
    /// single element, [`Error::GraphReleased`] on a second call.
    #[track_caller]
    pub fn backward(&self) -> Result<()> {
        self.backward_with(BackwardOptions::default())
    }

    /// [`backward`](Tensor::backward) with options.
    ///
    /// # Errors
    /// As `backward`; [`Error::Invalid`] if the gradient's shape or type is not this tensor's,
    /// [`Error::DeviceMismatch`].
    #[track_caller]
    pub fn backward_with(&self, options: BackwardOptions) -> Result<()> {
        const OP: &str = "backward";
        if !self.is_tracked() {
            return Err(Error::NoGradient { op: OP });
        }
        let seed = match options.gradient {
            Some(gradient) => gradient,
            None if self.numel() == 1 => {
                let _line = ascribe_to_caller();
                with_grad(false, || self.ones_like())?
            }
            None => {
                let rule =
                    format!("the gradient can be left out only for a single element, not for shape {}", self.shape());
                return Err(Error::invalid(OP, rule));
            }
        };
        let walking = walking();
        let walk = walk(OP, vec![(self.clone(), seed)], &[], options.create_graph, None)?;
        for (leaf, gradient) in walk.adjoints.into_values() {
            if let Some(slot) = leaf.gradient_slot() {
                let mut slot = slot.lock();
                *slot = Some(match slot.take() {
                    Some(old) => {
                        let _line = ascribe_to_caller();
                        with_grad(options.create_graph, || old.add(&gradient))?
                    }
                    None => gradient.edge(),
                });
            }
        }
        if !(options.retain_graph || options.create_graph) {
            for node in walk.visited {
                let mut state = node.state.lock();
                state.released = true;
                if state.storage.is_some() {
                    let inputs = std::mem::take(&mut state.inputs);
                    drop(state);
                    drop(inputs);
                }
            }
        }
        drop(walking);
        self.device().flush_if_long();
        Ok(())
    }
}

/// Values and their gradients by node and output, in recording order.
type Adjoints = BTreeMap<(u64, usize), (Tensor, Tensor)>;

/// Gradients of a walk, and the nodes it visited.
struct Walk {
    /// Gradients of leaves and of the tensors asked for.
    adjoints: Adjoints,
    visited: Vec<Arc<Node>>,
}

/// Walks from the seeds back to the leaves, newest node first. `keep` are tensors whose gradient is wanted though they may not be
/// leaves.
fn walk(
    op: &'static str,
    seeds: Vec<(Tensor, Tensor)>,
    keep: &[Tensor],
    create_graph: bool,
    rule: Option<&mut GradientRule<'_>>,
) -> Result<Walk> {
    let _walking = walking();
    with_grad(create_graph, || {
        let kept = keep.iter().map(|tensor| (tensor.node.id, tensor.output)).collect();
        let mut walker = Walker { kept, rule, ..Walker::default() };
        for (target, seed) in seeds {
            if target.is_tracked() {
                walker.add(op, &target, seed)?;
            }
        }
        while let Some((_, node)) = walker.nodes.pop_last() {
            walker.pass(node)?;
        }
        Ok(Walk { adjoints: walker.done, visited: walker.visited })
    })
}

/// A walk under way.
#[derive(Default)]
struct Walker<'a, 'b> {
    /// Gradients so far of the nodes that are still to be walked, and those nodes.
    adjoints: Adjoints,
    nodes: BTreeMap<u64, Arc<Node>>,
    /// Values whose gradient is asked for.
    kept: HashSet<(u64, usize)>,
    done: Adjoints,
    visited: Vec<Arc<Node>>,
    rule: Option<&'a mut GradientRule<'b>>,
}

impl Walker<'_, '_> {
    /// Adds to a value's gradient.
    fn add(&mut self, op: &'static str, target: &Tensor, adjoint: Tensor) -> Result<()> {
        if (adjoint.shape(), adjoint.dtype()) != (target.shape(), target.dtype()) {
            let is = format!("{} {}", target.shape(), target.dtype());
            let rule = format!("a gradient of {} {} for a value of {is}", adjoint.shape(), adjoint.dtype());
            return Err(Error::invalid(op, rule));
        }
        target.device().check_same(op, adjoint.device())?;
        let key = (target.node.id, target.output);
        let sum = match self.adjoints.remove(&key) {
            Some((_, old)) => {
                let _line = ascribe(target.node.source);
                old.add(&adjoint)?
            }
            None => adjoint,
        };
        self.adjoints.insert(key, (target.clone(), sum));
        self.nodes.insert(target.node.id, target.node.clone());
        Ok(())
    }

    /// The gradients of a node's outputs, which all of its readers have added to by now.
    fn cotangents(&mut self, node: &Node) -> Vec<Option<Tensor>> {
        let cotangent = |output| {
            let key = (node.id, output);
            let (tensor, adjoint) = self.adjoints.remove(&key)?;
            if node.gradient.is_some() || self.kept.contains(&key) {
                self.done.insert(key, (tensor, adjoint.clone()));
            }
            Some(adjoint)
        };
        (0..node.outputs.len()).map(cotangent).collect()
    }

    /// Walks from a node to its inputs.
    fn pass(&mut self, node: Arc<Node>) -> Result<()> {
        let cotangents = self.cotangents(&node);
        if !node.is_tracked() {
            return Ok(());
        }
        let inputs = inputs(&node)?;
        if let Some(checkpoint) = node.checkpoint() {
            return self.pass_again(&node, checkpoint, &inputs, cotangents);
        }
        let outputs: Vec<Tensor> = (0..node.outputs.len()).map(|output| Tensor::of(node.clone(), output)).collect();
        let wanted: Vec<bool> = inputs.iter().map(Tensor::is_tracked).collect();
        let context = Vjp { inputs: &inputs, outputs: &outputs, cotangents: &cotangents, wanted: &wanted };
        let line = ascribe(node.source);
        let ruled = match &mut self.rule {
            Some(rule) => rule(&*node.op, &context)?,
            None => None,
        };
        let gradients = ruled.map_or_else(|| node.op.vjp(&context), Ok)?;
        drop(line);
        if gradients.len() != inputs.len() {
            let rule = format!("vjp returned {} gradients for {} inputs", gradients.len(), inputs.len());
            return Err(Error::invalid(node.op.name(), rule));
        }
        for ((input, gradient), wanted) in inputs.iter().zip(gradients).zip(wanted) {
            if let (Some(gradient), true) = (gradient, wanted) {
                self.add(node.op.name(), input, gradient)?;
            }
        }
        self.visited.push(node);
        Ok(())
    }

    /// Walks from a result that is computed again to the call that computes it again, which is recorded here. The results of one
    /// pass were recorded one after the other and are walked together.
    fn pass_again(
        &mut self,
        node: &Arc<Node>,
        checkpoint: &Checkpoint,
        inputs: &[Tensor],
        cotangents: Vec<Option<Tensor>>,
    ) -> Result<()> {
        let mut gradients: Vec<(usize, Tensor)> =
            cotangents.into_iter().flatten().map(|gradient| (checkpoint.result(), gradient)).collect();
        self.visited.push(node.clone());
        while let Some(next) = self.nodes.last_entry() {
            let Some(other) = next.get().checkpoint().filter(|other| other.is_of_same(checkpoint)) else { break };
            let (result, next) = (other.result(), next.get().clone());
            self.nodes.pop_last();
            gradients.extend(self.cotangents(&next).into_iter().flatten().map(|gradient| (result, gradient)));
            self.visited.push(next);
        }
        let Some((_, after)) = gradients.first() else { return Ok(()) };
        let results = checkpoint.record_again(inputs, after)?;
        gradients.into_iter().try_for_each(|(result, gradient)| self.add(node.op.name(), &results[result], gradient))
    }
}

/// The inputs of a node.
fn inputs(node: &Node) -> Result<Few<Tensor>> {
    let state = node.state.lock();
    if state.released { Err(Error::GraphReleased { op: node.op.name() }) } else { Ok(state.inputs.clone()) }
}

//! Parameters that lie side by side in one tensor, so that one kernel changes all of them.

use crate::error::Result;
use crate::graph::list::Few;
use crate::graph::node::{GradientSlot, Node, State, Tensor, record_leaf, with_grad};
use crate::graph::op::{Class, Op};
use crate::host_tensor::HostTensor;
use crate::shape::{Layout, Shape};
use parking_lot::Mutex;
use std::any::Any;
use std::hash::Hasher;
use std::panic::Location;
use std::sync::{Arc, Weak};

/// The segment of a pack that holds one parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// First element.
    pub start: usize,
    pub shape: Shape,
}

/// One tensor of one dimension, and its segments, which parameters show.
#[derive(Debug)]
pub(crate) struct Pack {
    segments: Vec<Segment>,
    /// Ones, and zeros for the elements that stay 0 whatever is assigned.
    mask: Option<Tensor>,
    state: Mutex<Packed>,
}

/// The elements of a pack before an assignment.
pub(crate) struct Before {
    node: Weak<Node>,
    output: usize,
}

#[derive(Debug)]
struct Packed {
    whole: Tensor,
    /// The leaf that each segment last gave out. Dropped with the value, whose memory it shares.
    parts: Vec<Option<Tensor>>,
}

impl Pack {
    /// A pack with the elements of `whole`, except those that a mask prunes.
    #[track_caller]
    pub fn new(whole: &Tensor, segments: Vec<Segment>, mask: Option<Tensor>) -> Result<Arc<Pack>> {
        let parts = vec![None; segments.len()];
        let pack = Pack { segments, mask, state: Mutex::new(Packed { whole: whole.clone(), parts }) };
        pack.assign(whole)?;
        Ok(Arc::new(pack))
    }

    /// A tensor laid out as the elements, 0 where those are pruned.
    #[track_caller]
    pub fn masked(&self, like: &Tensor) -> Result<Tensor> {
        self.mask.as_ref().map_or_else(|| Ok(like.clone()), |mask| with_grad(false, || like.mul(mask)))
    }

    /// All elements.
    pub fn value(&self) -> Tensor {
        self.state.lock().whole.clone()
    }

    /// Replaces all elements at the next flush, except those that a mask prunes.
    #[track_caller]
    pub fn assign(&self, whole: &Tensor) -> Result<()> {
        let whole = &self.masked(whole)?;
        let mut state = self.state.lock();
        state.whole = if whole.is_tracked() { whole.detach() } else { whole.clone() };
        state.parts.fill(None);
        whole.device().record_effect(&state.whole);
        Ok(())
    }

    /// The state that takes an [`assign`](Pack::assign) back. It does not hold the elements, so they may be overwritten.
    pub fn before(&self) -> Before {
        let whole = &self.state.lock().whole;
        Before { node: Arc::downgrade(&whole.node), output: whole.output }
    }

    /// True if the elements are computed.
    pub fn is_computed(&self) -> bool {
        self.state.lock().whole.node.is_computed()
    }

    /// Takes back an assignment that was never carried out; until then it holds its inputs.
    pub fn take_back(&self, before: &Before) {
        if let Some(node) = before.node.upgrade() {
            let mut state = self.state.lock();
            let dropped = std::mem::replace(&mut state.whole, Tensor::of(node, before.output));
            let parts = std::mem::take(&mut state.parts);
            state.parts = vec![None; parts.len()];
            drop(state);
            drop((dropped, parts));
        }
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Makes the next request for a segment return a new leaf.
    pub fn forget_part(&self, index: usize) {
        let part = self.state.lock().parts[index].take();
        drop(part);
    }

    /// A segment as a leaf of the graph, the same one until the next value is assigned.
    pub fn part(&self, index: usize, gradient: Option<GradientSlot>) -> Tensor {
        let mut state = self.state.lock();
        let Packed { whole, parts } = &mut *state;
        parts[index].get_or_insert_with(|| part(whole, self.segments[index], gradient)).clone()
    }
}

/// The pack of a parameter that lies in one.
pub(crate) fn whole_of(leaf: &Tensor) -> Option<Tensor> {
    let op: &dyn Any = &*leaf.node.op;
    op.is::<Part>().then(|| leaf.node.state.lock().inputs.first().cloned()).flatten()
}

/// Elements of a pack.
#[derive(Debug)]
struct Part {
    layout: Layout,
}

fn part(whole: &Tensor, segment: Segment, gradient: Option<GradientSlot>) -> Tensor {
    let contiguous = Layout::contiguous(segment.shape, whole.dtype());
    let layout = Layout::strided(segment.shape, contiguous.strides(), segment.start, whole.dtype());
    let state = State { inputs: Few::One(whole.edge()), ..State::default() };
    record_leaf(whole.device(), Part { layout }, layout, gradient, state, Location::caller())
}

impl Op for Part {
    fn name(&self) -> &'static str {
        "part"
    }
    /// The layout says everything; the offset is data.
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::View
    }
    fn outputs(&self, _: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![self.layout])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(vec![inputs[0].view(&self.layout)])
    }
}

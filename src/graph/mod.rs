//! The recorder: tensors as handles to recorded calls, the trait every operation implements, and the
//! reverse walk. Knows no particular operation.

mod backward;
mod calls;
mod checkpoint;
mod custom;
mod device;
mod fingerprint;
mod list;
mod node;
mod op;
mod pack;
mod parameter;
mod print;
mod profiler;
mod registry;
mod schedule;
mod source;
mod trace;

pub(crate) use backward::gradient_of_sum;
pub use backward::{BackwardOptions, GradientRule, grad, grad_by};
pub(crate) use calls::Call;
pub use checkpoint::{CheckpointResults, checkpoint};
pub(crate) use device::{BoxFuture, Executor};
pub use device::{Device, RandomState, Stats};
pub(crate) use fingerprint::{Fingerprint, Fingerprinter};
pub(crate) use list::{Few, OneOrMore};
pub(crate) use node::{
    Node, State, Storage, grad_enabled, is_walking, record, record_leaf, record_on, record_one, record_shared,
    with_grad,
};
pub use node::{Tensor, apply, no_grad};
pub use op::{Budget, Class, Io, Op, Summing, Vjp};
pub(crate) use op::{hash_structure, shows_first_input, write_operation};
pub(crate) use pack::{Before, Pack, Segment, whole_of};
pub use parameter::Parameter;
pub use print::Graph;
pub use profiler::ProfileEvent;
pub(crate) use profiler::Profiler;
pub(crate) use registry::Registry;
pub(crate) use schedule::{Edge, MOST_SMALL, Schedule};
pub(crate) use source::{ascribe, ascribe_to_caller};
pub(crate) use trace::{Window, in_place_of, is_tracing, note_multiply_adds, seen_through, tracing, with_trace};

//! The key of a winner: the call, and the names of its candidates.

use crate::device::Adapter;
use crate::graph::{Fingerprinter, Io, Op};
use crate::shader::Kernels;
use crate::shape::Layout;
use std::hash::{Hash, Hasher};

/// Calls with equal keys have the same candidates and take the same time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Identifies the operation with its attributes, its operands' order in memory, its kernels' limits, and all properties of
    /// the device that the choice of kernels depends on, [`Disable`](crate::Disable) included.
    pub family: u64,
    /// The operands' and results' sizes.
    pub sizes: Vec<usize>,
}

impl Key {
    pub fn new(op: &dyn Op, io: &Io, adapter: &Adapter) -> Key {
        let mut state = Fingerprinter::new();
        state.write(op.name().as_bytes());
        op.structure(&mut state);
        state.write(format!("{adapter:?}").as_bytes());
        // Bounds checks cost time, and not the same for each candidate.
        state.write_u8(u8::from(cfg!(debug_assertions)));
        io.budget.hash(&mut state);
        let layouts = || io.inputs.iter().chain(io.outputs);
        layouts().for_each(|layout| write_order(layout, &mut state));
        Key { family: state.finish(), sizes: layouts().flat_map(|layout| layout.shape.to_vec()).collect() }
    }

    /// The two values of the only number that differs between the sizes of two calls of a family, in whichever dimensions it
    /// stands. For calls with different batches it is the batch.
    pub fn difference(&self, other: &Key) -> Option<(usize, usize)> {
        if self.family != other.family || self.sizes.len() != other.sizes.len() {
            return None;
        }
        let mut pairs = self.sizes.iter().zip(&other.sizes).filter(|(a, b)| a != b);
        let first = pairs.next()?;
        pairs.all(|pair| pair == first).then_some((*first.0, *first.1))
    }
}

/// Writes a tensor's order in memory apart from its sizes: strides as 0, 1, or larger, and the alignment, on which vector loads
/// depend.
fn write_order(layout: &Layout, state: &mut impl Hasher) {
    state.write_u8(layout.dtype as u8);
    state.write_usize(layout.offset % 8);
    for (&size, &stride) in layout.shape.iter().zip(layout.strides()) {
        state.write_usize(if size == 1 { 0 } else { stride.min(2) });
    }
}

/// The names of candidates in files and tables: the stems of their kernels, and those constants of the first kernel that differ
/// between candidates which begin with the same stem. Names that are still equal are numbered.
pub(super) fn names(candidates: &[Kernels]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let mut stems: Vec<&str> = Vec::new();
        for kernel in &candidate.kernels {
            if !stems.contains(&kernel.name) {
                stems.push(kernel.name);
            }
        }
        let mut name = stems.join("+");
        if let Some(first) = candidate.kernels.first() {
            let alike = || candidates.iter().filter_map(|c| c.kernels.first()).filter(|k| k.name == first.name);
            for constant in &first.constants {
                if alike().any(|other| !other.constants.contains(constant)) {
                    name.push_str(&format!(" {}={}", constant.0, constant.1.trim_end_matches('u')));
                }
            }
        }
        let plain = name.clone();
        for number in 2.. {
            if !names.contains(&name) {
                break;
            }
            name = format!("{plain} #{number}");
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::graph::Budget;
    use crate::host_tensor::HostTensor;
    use crate::shader::Kernel;
    use crate::shape::Shape;
    use crate::{Device, DeviceOptions, Noop, Result};

    #[derive(Debug)]
    struct Nothing;

    impl Op for Nothing {
        fn name(&self) -> &'static str {
            "nothing"
        }
        fn structure(&self, _state: &mut dyn Hasher) {}
        fn outputs(&self, _inputs: &[Layout]) -> Result<Vec<Layout>> {
            Ok(Vec::new())
        }
        fn reference(&self, _inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn what_kernels_may_take_makes_another_call() -> Result<()> {
        let device = Device::with_options(&DeviceOptions::default().noop(Noop::default()))?;
        let budget = Budget::default();
        let keys =
            [budget, budget, Budget { bytes: 1 << 20, ..budget }, Budget { launches: 4, ..budget }].map(|budget| {
                let key = |adapter| Key::new(&Nothing, &Io { inputs: &[], outputs: &[], budget }, adapter);
                device.adapter().map(key)
            });
        assert!(keys[0].is_some() && keys[0] == keys[1]);
        assert!(keys[2..].iter().all(|key| *key != keys[0]));
        Ok(())
    }

    #[test]
    fn alignment_to_eight_makes_another_call() -> Result<()> {
        let device = Device::with_options(&DeviceOptions::default().noop(Noop::default()))?;
        let shape = Shape::new(&[8])?;
        let keys = [4, 8, 16].map(|offset| {
            let inputs = [Layout::strided(shape, &[1], offset, DType::F32)];
            let io = Io { inputs: &inputs, outputs: &[], budget: Budget::default() };
            device.adapter().map(|adapter| Key::new(&Nothing, &io, adapter))
        });
        assert!(keys[0].is_some() && keys[1] == keys[2]);
        assert_ne!(keys[0], keys[1]);
        Ok(())
    }

    fn key(sizes: &[usize]) -> Key {
        Key { family: 7, sizes: sizes.to_vec() }
    }

    #[test]
    fn a_batch_is_one_number_wherever_it_stands() {
        // The gradients of a linear layer's input and of its weight, by batches of 64 and 32.
        for (full, short) in [
            ([1, 64, 400, 1, 400, 120, 1, 64, 120], [1, 32, 400, 1, 400, 120, 1, 32, 120]),
            ([1, 64, 120, 1, 120, 400, 1, 64, 400], [1, 32, 120, 1, 120, 400, 1, 32, 400]),
            ([1, 400, 64, 1, 64, 120, 1, 400, 120], [1, 400, 32, 1, 32, 120, 1, 400, 120]),
        ] {
            assert_eq!(key(&full).difference(&key(&short)), Some((64, 32)));
        }
        assert_eq!(key(&[64, 10]).difference(&key(&[64, 10])), None);
        assert_eq!(key(&[64, 10]).difference(&key(&[32, 20])), None);
        assert_eq!(key(&[64, 10]).difference(&Key { family: 8, ..key(&[32, 10]) }), None);
    }

    #[test]
    fn names_tell_candidates_apart_and_nothing_more() {
        let kernel =
            |stem, side: usize| Kernel::new(stem, "").constant("WIDTH", "9u").constant("SIDE", format!("{side}u"));
        let sum = Kernel::new("sum", "");
        let split = Kernels { kernels: vec![kernel("tiled", 4), sum.clone(), sum], temporaries: vec![] };
        let candidates =
            [kernel("tiled", 8).into(), split, kernel("plain", 8).into(), kernel("tiled", 8).alias("A", "f32").into()];
        assert_eq!(names(&candidates), ["tiled SIDE=8", "tiled+sum SIDE=4", "plain", "tiled SIDE=8 #2"]);
    }
}

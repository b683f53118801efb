//! The number of groups of a convolution, which changes if channels are cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of groups that a convolution computes in. Clones share it, as those of a parameter do.
#[derive(Clone, Debug)]
pub struct Grouped {
    made: usize,
    groups: Arc<AtomicUsize>,
}

impl Grouped {
    pub(super) fn new(groups: usize) -> Grouped {
        Grouped { made: groups, groups: Arc::new(AtomicUsize::new(groups)) }
    }

    /// The number.
    pub fn groups(&self) -> usize {
        self.groups.load(Ordering::Relaxed)
    }

    /// True if it is not the number that the convolution was made with.
    pub(crate) fn is_changed(&self) -> bool {
        self.groups() != self.made
    }

    /// Sets the number, which must fit the weight.
    pub(crate) fn set(&self, groups: usize) {
        self.groups.store(groups, Ordering::Relaxed);
    }
}

//! Labels of the positions along the axes of tensors: those with one label can only be cut together.

/// A label; two that have been joined are one.
pub(super) type Label = u32;

/// Labels of positions that stay: of a batch, an image, a constant or an answer.
pub(super) const FIXED: Label = 0;

/// The label of positions that adopt their neighbours' labels, as those of a repeated number.
pub(super) const FREE: Label = 1;

/// The labels along each axis of a tensor.
pub(super) type Axes = Vec<Vec<Label>>;

/// Labels that are joined as it turns out that they have to be (union-find).
pub(super) struct Labels {
    parents: Vec<Label>,
}

impl Labels {
    pub fn new() -> Labels {
        Labels { parents: vec![FIXED, FREE] }
    }

    /// New labels for the positions of an axis. A single position is never cut.
    pub fn axis(&mut self, size: usize) -> Vec<Label> {
        if size == 1 {
            return vec![FREE];
        }
        let make = |_| {
            let label = Label::try_from(self.parents.len()).unwrap_or(FIXED);
            self.parents.push(label);
            label
        };
        (0..size).map(make).collect()
    }

    /// The representative of this label and those that it was joined with.
    pub fn find(&mut self, label: Label) -> Label {
        let mut root = label;
        while self.parents[root as usize] != root {
            root = self.parents[root as usize];
        }
        let mut at = label;
        while at != root {
            at = std::mem::replace(&mut self.parents[at as usize], root);
        }
        root
    }

    /// Joins two labels, and returns the one that positions with both have.
    pub fn join(&mut self, one: Label, other: Label) -> Label {
        if one == FREE || other == FREE {
            return if one == FREE { other } else { one };
        }
        let (one, other) = (self.find(one), self.find(other));
        let (low, high) = (one.min(other), one.max(other));
        self.parents[high as usize] = low;
        low
    }

    /// Keeps everything with these labels from being cut.
    pub fn fix(&mut self, labels: &[Label]) {
        for &label in labels {
            self.join(FIXED, label);
        }
    }

    /// Joins the labels of two axes position by position.
    pub fn join_axes(&mut self, one: &[Label], other: &[Label]) -> Vec<Label> {
        one.iter().zip(other).map(|(&one, &other)| self.join(one, other)).collect()
    }
}

/// The labels along an axis where nothing is known of them.
pub(super) fn unknown(size: usize) -> Vec<Label> {
    vec![if size == 1 { FREE } else { FIXED }; size]
}

//! Other shapes of the same elements, and parts of them: views, pieces, copies, padding.

pub(super) mod cat;
pub(super) mod diagonal;
pub(super) mod pad;
pub(super) mod rearrange;
pub(super) mod repeat;
pub(super) mod slice;
pub(super) mod unfold;
pub(super) mod view;

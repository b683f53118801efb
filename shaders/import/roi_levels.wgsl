// Boxes: the image, x1, y1, x2, y2. If there are several levels, the index of the region's level follows. Each level has a kernel
// of its own, which leaves the regions of others alone.

// The height and width of the largest level; along one dimension, ROW is its longest size.
const ROW: u32 = 1u;
const COLUMN: u32 = 1u;

const BOX: u32 = 5u;

// True if the region whose box starts at `first` lies on another level.
fn is_elsewhere(first: u32) -> bool { return false; }

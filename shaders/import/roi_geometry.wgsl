// The sizes of images, and bins of a region.

const CHANNELS: u32 = 1u;
const HEIGHT: u32 = 1u;
const WIDTH: u32 = 1u;
const BINS_Y: u32 = 1u;
const BINS_X: u32 = 1u;

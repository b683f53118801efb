// The types and sizes of a pooling; windows are looked at in blocks, whose loads don't wait for each other.

alias Element = f32;

const IN_HEIGHT: u32 = 28u;
const IN_WIDTH: u32 = 28u;
const OUT_HEIGHT: u32 = 14u;
const OUT_WIDTH: u32 = 14u;
const STRIDE_Y: u32 = 2u;
const STRIDE_X: u32 = 2u;
const PAD_Y: u32 = 0u;
const PAD_X: u32 = 0u;
const BLOCK_Y: u32 = 1u;
const BLOCK_X: u32 = 1u;

// The types and sizes of a convolution.

alias Element = f32;
// The stored type of a sum: the result's, or f32 for the part of one workgroup.
alias Sum = Element;

const GROUPS: u32 = 1u;
const IN_PER_GROUP: u32 = 64u;
const OUT_PER_GROUP: u32 = 64u;
const IN_HEIGHT: u32 = 32u;
const IN_WIDTH: u32 = 32u;
const OUT_HEIGHT: u32 = 32u;
const OUT_WIDTH: u32 = 32u;
const KERNEL_Y: u32 = 3u;
const KERNEL_X: u32 = 3u;
const STRIDE_Y: u32 = 1u;
const STRIDE_X: u32 = 1u;
const PAD_Y: u32 = 1u;
const PAD_X: u32 = 1u;
const DILATION_Y: u32 = 1u;
const DILATION_X: u32 = 1u;

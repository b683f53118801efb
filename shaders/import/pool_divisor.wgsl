// The divisor of a window's average.

const KERNEL_Y: u32 = 2u;
const KERNEL_X: u32 = 2u;
// True if positions in the padding count; a divisor other than 0 is used instead of the count.
const COUNT_PADDING: bool = true;
const DIVISOR: f32 = 0.0;

// The divisor of the sum over one window: its positions in the padded input, or in the input.
fn divisor(y: u32, x: u32) -> f32 {
    if (DIVISOR != 0.0) {
        return DIVISOR;
    }
    let top = y * STRIDE_Y;
    let left = x * STRIDE_X;
    if (COUNT_PADDING) {
        return f32((min(top + KERNEL_Y, IN_HEIGHT + 2u * PAD_Y) - top) * (min(left + KERNEL_X, IN_WIDTH + 2u * PAD_X) - left));
    }
    let rows = min(top + KERNEL_Y, IN_HEIGHT + PAD_Y) - max(top, PAD_Y);
    return f32(rows * (min(left + KERNEL_X, IN_WIDTH + PAD_X) - max(left, PAD_X)));
}

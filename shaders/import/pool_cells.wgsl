// Cells of the input, counted in the padded input, and the windows that can cover their elements.

// Windows of one dimension that can cover an element.
const WINDOWS_Y: u32 = 1u;
const WINDOWS_X: u32 = 1u;
// Size of a cell; divides the stride.
const CELL_Y: u32 = 2u;
const CELL_X: u32 = 2u;
const CELLS_Y: u32 = (IN_HEIGHT + PAD_Y + CELL_Y - 1u) / CELL_Y;
const CELLS_X: u32 = (IN_WIDTH + PAD_X + CELL_X - 1u) / CELL_X;

// Stores the gradient of an element at a position in the padded input, where it is inside the input.
fn store_inside(plane: u32, padded_y: u32, padded_x: u32, value: f32) {
    // Unsigned arithmetic wraps: a position left of or above the input is a huge number, not below the size.
    let y = padded_y - PAD_Y;
    let x = padded_x - PAD_X;
    if ((y < IN_HEIGHT) & (x < IN_WIDTH)) {
        store_output((plane * IN_HEIGHT + y) * IN_WIDTH + x, value);
    }
}

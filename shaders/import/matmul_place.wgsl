// 1 if the last column of `right` is not in memory, but all ones: its products are the sums of the rows of `left`.
const ONES: u32 = 0u;

// The index at which a product is stored; sums of rows follow the others.
fn place(layer: u32, row: u32, column: u32) -> u32 {
    let width = params.columns - ONES;
    let is_sum = (ONES == 1u) & (column == width);
    return layer * params.rows * params.columns + select(row * width + column, params.rows * width + row, is_sum);
}

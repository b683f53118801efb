// Stores eight neighbours from a multiple of eight on.
fn store_output_eight(index: u32, low: Quad, high: Quad) {
    store_output(index, low.x);
    store_output(index + 1u, low.y);
    store_output(index + 2u, low.z);
    store_output(index + 3u, low.w);
    store_output(index + 4u, high.x);
    store_output(index + 5u, high.y);
    store_output(index + 6u, high.z);
    store_output(index + 7u, high.w);
}

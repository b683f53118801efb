// The products of transformed tiles.

alias Transformed = f32;

@group(0) @binding(0) var<storage, read> products: array<Transformed>;

// The eight numbers from `index` on, a multiple of eight.
fn load_products_eight(index: u32) -> mat2x4<f32> {
    return mat2x4<f32>(
        products[index], products[index + 1u], products[index + 2u], products[index + 3u],
        products[index + 4u], products[index + 5u], products[index + 6u], products[index + 7u],
    );
}

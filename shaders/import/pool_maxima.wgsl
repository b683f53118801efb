// The operands of a maximum pooling: an input, its maxima and their positions.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;
@group(0) @binding(3) var<storage, read_write> index: array<i32>;

fn load_input(index: u32) -> f32 { return f32(input[params.input_offset + index]); }

fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

fn store_output(index: u32, value: f32) { output[index] = Element(value); }

// The windows of adaptive pooling: window(j) goes from floor(j from / to) to ceil((j + 1) from / to) - 1.

// True if products of positions and sizes take more than 32 bits.
const WIDE: bool = false;

// position * from / to, rounded down, and the remainder; position is at most to.
fn scaled(position: u32, from_size: u32, to_size: u32) -> vec2<u32> {
    let whole = position * (from_size / to_size);
    let rest = from_size % to_size;
    if (!WIDE) {
        return vec2<u32>(whole + position * rest / to_size, position * rest % to_size);
    }
    // Bit by bit: doubles, and adds one more.
    var quotient = 0u;
    var remainder = 0u;
    for (var bit = 0u; bit < 32u; bit++) {
        quotient *= 2u;
        remainder = 2u * remainder + select(0u, position, ((rest >> (31u - bit)) & 1u) == 1u);
        let times = remainder / to_size;
        quotient += times;
        remainder -= times * to_size;
    }
    return vec2<u32>(whole + quotient, remainder);
}

// The first element of a window and the one past its last.
fn window(position: u32, from_size: u32, to_size: u32) -> vec2<u32> {
    let past = scaled(position + 1u, from_size, to_size);
    return vec2<u32>(scaled(position, from_size, to_size).x, past.x + select(0u, 1u, past.y > 0u));
}

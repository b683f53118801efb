// A keyed bijection of the numbers below `count`: a Feistel network over `bits` bits, whose halves take turns, applied
// again while it leads to `count` or above. The rounds mix with MurmurHash3's finalizer.
fn mixed(word: u32) -> u32 {
    var x = (word ^ (word >> 16u)) * 0x85ebca6bu;
    x = (x ^ (x >> 13u)) * 0xc2b2ae35u;
    return x ^ (x >> 16u);
}

fn four_rounds(halves: vec2<u32>, masks: vec2<u32>, keys: U) -> vec2<u32> {
    var low = halves.x;
    var high = halves.y;
    low ^= mixed(high ^ keys.x) & masks.x;
    high ^= mixed(low ^ keys.y) & masks.y;
    low ^= mixed(high ^ keys.z) & masks.x;
    high ^= mixed(low ^ keys.w) & masks.y;
    return vec2<u32>(low, high);
}

fn permuted_place(at: u32, count: u32, bits: u32, first: U, second: U, third: U) -> u32 {
    let low_bits = bits / 2u;
    let masks = vec2<u32>((1u << low_bits) - 1u, (1u << (bits - low_bits)) - 1u);
    var place = at;
    for (var walk = 0u; walk < 1024u; walk++) {
        var halves = vec2<u32>(place, place >> low_bits) & masks;
        halves = four_rounds(halves, masks, first);
        halves = four_rounds(halves, masks, second);
        halves = four_rounds(halves, masks, third);
        place = halves.x | (halves.y << low_bits);
        if (place < count) {
            break;
        }
    }
    return place;
}

fn permuted(quad: u32, count: u32, bits: u32, first: U, second: U, third: U) -> I {
    let at = quad * 4u;
    return bitcast<I>(U(
        permuted_place(at, count, bits, first, second, third),
        permuted_place(at + 1u, count, bits, first, second, third),
        permuted_place(at + 2u, count, bits, first, second, third),
        permuted_place(at + 3u, count, bits, first, second, third),
    ));
}

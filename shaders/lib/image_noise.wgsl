// A normally distributed number for each element of an image, from the image's key and the element's index in it.
fn image_noise(low: I, high: I, at: U) -> F {
    let keys = bitcast<U>(low);
    let others = bitcast<U>(high);
    let x = philox_normal(philox(at.x, keys.x, others.x, 0u, 0u)).x;
    let y = philox_normal(philox(at.y, keys.y, others.y, 0u, 0u)).x;
    let z = philox_normal(philox(at.z, keys.z, others.z, 0u, 0u)).x;
    let w = philox_normal(philox(at.w, keys.w, others.w, 0u, 0u)).x;
    return F(x, y, z, w);
}

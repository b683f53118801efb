//! What tests and benchmarks multiply.

use crate::dtype::DType;
use crate::ops::case::Case;

pub(in crate::ops) fn cases() -> Vec<Case> {
    let product = |shapes: &[&[usize]], depth: f64| {
        Case::new("matmul", shapes, |x| Ok(vec![x[0].matmul(&x[1])?])).tolerance(4.0 * depth + 16.0)
    };
    vec![
        product(&[&[7], &[7]], 7.0),
        product(&[&[7], &[7, 3]], 7.0),
        product(&[&[5, 7], &[7]], 7.0),
        product(&[&[1, 1], &[1, 1]], 1.0),
        product(&[&[13, 7], &[7, 11]], 7.0),
        product(&[&[3, 13, 7], &[7, 5]], 7.0),
        product(&[&[2, 1, 3, 4], &[5, 4, 6]], 4.0),
        product(&[&[0, 3], &[3, 4]], 3.0),
        product(&[&[3, 0], &[0, 4]], 1.0),
        product(&[&[65, 33], &[33, 70]], 33.0).first_order(),
        product(&[&[5, 9], &[9, 300]], 9.0).first_order(),
        // Vectors of four along every dimension, here and in the gradients.
        product(&[&[21, 12], &[12, 516]], 12.0).first_order(),
        // Eight columns at a time, tiles cut off at every edge.
        product(&[&[37, 14], &[14, 520]], 14.0).first_order(),
        product(&[&[2, 37, 15], &[2, 15, 520]], 15.0).first_order(),
        // One column of long sums.
        product(&[&[70, 131], &[131]], 131.0).first_order(),
        product(&[&[3, 9, 130], &[3, 130, 1]], 130.0).first_order(),
        // Panels of two tiles' columns on software adapters, and a last one of one.
        product(&[&[66, 4_000], &[4_000, 150]], 4_000.0).first_order(),
        // Past the longest loop of some drivers; the halves of the sum are long loops themselves.
        Case::new("matmul", &[&[2, 1], &[1, 3]], |x| {
            Ok(vec![x[0].expand(&[2, 140_001])?.matmul(&x[1].expand(&[140_001, 3])?)?])
        })
        .tolerance(8_000.0)
        .first_order(),
        Case::new("matmul", &[&[9, 5], &[9, 7]], |x| Ok(vec![x[0].t()?.matmul(&x[1])?])).tolerance(64.0),
        Case::new("matmul", &[&[9, 5], &[7, 5]], |x| Ok(vec![x[0].matmul(&x[1].t()?)?])).tolerance(64.0),
        Case::new("matmul", &[&[3, 9, 5], &[3, 6, 9]], |x| {
            Ok(vec![x[0].transpose(1, 2)?.matmul(&x[1].transpose(1, 2)?)?])
        })
        .tolerance(64.0),
        Case::new("matmul", &[&[2, 9, 13], &[2, 7, 13]], |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.matmul(&x[1].to_dtype(DType::F16)?.transpose(1, 2)?)?])
        })
        .half(),
        // What cooperative matrices can take, row by row and transposed.
        Case::new("matmul", &[&[20, 24], &[24, 40]], |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.matmul(&x[1].to_dtype(DType::F16)?)?])
        })
        .half(),
        Case::new("matmul", &[&[24, 20], &[40, 24]], |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.t()?.matmul(&x[1].to_dtype(DType::F16)?.t()?)?])
        })
        .half(),
    ]
}

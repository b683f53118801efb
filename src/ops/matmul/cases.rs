//! Cases of products for tests and benchmarks.

use crate::dtype::DType;
use crate::ops::case::Case;

pub(in crate::ops) fn cases() -> Vec<Case> {
    let product = |shapes: &[&[usize]]| Case::new("matmul", shapes, |x| Ok(vec![x[0].matmul(&x[1])?]));
    vec![
        product(&[&[7], &[7]]),
        product(&[&[7], &[7, 3]]),
        product(&[&[5, 7], &[7]]),
        product(&[&[1, 1], &[1, 1]]),
        product(&[&[13, 7], &[7, 11]]),
        product(&[&[3, 13, 7], &[7, 5]]),
        product(&[&[2, 1, 3, 4], &[5, 4, 6]]),
        product(&[&[0, 3], &[3, 4]]),
        product(&[&[3, 0], &[0, 4]]),
        product(&[&[65, 33], &[33, 70]]).first_order(),
        product(&[&[5, 9], &[9, 300]]).first_order(),
        // Vectors of four along every dimension, here and in the gradients.
        product(&[&[21, 12], &[12, 516]]).tolerance(8.5).first_order(),
        // Eight columns at a time, tiles clipped at every edge.
        product(&[&[37, 14], &[14, 520]]).first_order(),
        product(&[&[2, 37, 15], &[2, 15, 520]]).first_order(),
        // One column of long sums.
        product(&[&[70, 131], &[131]]).first_order(),
        product(&[&[3, 9, 130], &[3, 130, 1]]).first_order(),
        // Panels of two tiles' columns on software adapters, and a last one of one.
        product(&[&[66, 4_000], &[4_000, 150]]).tolerance(19.0).first_order(),
        // Longer than the longest loop of some drivers; the halves of the sum are long loops themselves, of equal terms, which
        // all round the same way.
        Case::new("matmul", &[&[2, 1], &[1, 3]], |x| {
            Ok(vec![x[0].expand(&[2, 140_001])?.matmul(&x[1].expand(&[140_001, 3])?)?])
        })
        .tolerance(1340.0)
        .first_order(),
        Case::new("matmul", &[&[9, 5], &[9, 7]], |x| Ok(vec![x[0].t()?.matmul(&x[1])?])),
        Case::new("matmul", &[&[9, 5], &[7, 5]], |x| Ok(vec![x[0].matmul(&x[1].t()?)?])),
        Case::new("matmul", &[&[3, 9, 5], &[3, 6, 9]], |x| {
            Ok(vec![x[0].transpose(1, 2)?.matmul(&x[1].transpose(1, 2)?)?])
        }),
        Case::new("matmul", &[&[2, 9, 13], &[2, 7, 13]], |x| {
            Ok(vec![x[0].to_dtype(DType::F16)?.matmul(&x[1].to_dtype(DType::F16)?.transpose(1, 2)?)?])
        })
        .half(),
        // Products that suit cooperative matrices, row by row and transposed.
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

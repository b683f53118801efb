//! Products of matrices: long sums, long rows, many matrices, many labels.

use crate::{Extent, check, extent};
use wgrad::*;

const LONG: usize = 70_000;

pub fn extents() -> Vec<Extent> {
    let product = |x: &[Tensor]| x[0].matmul(&x[1]);
    vec![
        extent("matmul, a long sum", &[&[1, LONG], &[LONG, 1]], LONG, product),
        extent("matmul, long rows", &[&[1, 3], &[3, LONG]], LONG, product),
        extent("matmul, long columns", &[&[LONG, 3], &[3, 1]], LONG, product),
        extent("matmul, many matrices", &[&[20_000, 1, 2], &[20_000, 2, 3]], 4, product),
        extent("matmul, one matrix for many", &[&[20_000, 1, 2], &[2, 3]], 20_000, product),
        extent("mm, one column of many rows", &[&[LONG, 1], &[1, 2]], LONG, |x| x[0].mm(&x[1])),
        extent("bmm, many matrices", &[&[20_000, 2, 1], &[20_000, 1, 2]], 4, |x| x[0].bmm(&x[1])),
        extent("mv, long columns", &[&[LONG, 2], &[2]], LONG, |x| x[0].mv(&x[1])),
        extent("dot, long", &[&[LONG], &[LONG]], LONG, |x| x[0].dot(&x[1])),
        extent("outer, long", &[&[LONG], &[2]], LONG, |x| x[0].outer(&x[1])),
        extent("addmm, a long sum", &[&[2, 2], &[2, LONG], &[LONG, 2]], LONG, |x| x[0].addmm(&x[1], &x[2], 0.5, 2.0)),
        extent("baddbmm, many matrices", &[&[20_000, 1, 1], &[20_000, 1, 2], &[20_000, 2, 1]], 4, |x| {
            x[0].baddbmm(&x[1], &x[2], 0.5, 2.0)
        }),
        extent("linear, many features", &[&[2, LONG], &[3, LONG], &[3]], LONG, |x| x[0].linear(&x[1], Some(&x[2]))),
        extent("bilinear, many features", &[&[2, 200], &[2, 200], &[2, 200, 200]], 40_000, |x| {
            x[0].bilinear(&x[1], &x[2], None)
        }),
        extent("einsum, long", &[&[LONG], &[LONG]], LONG, |x| Tensor::einsum("i,i->", &[&x[0], &x[1]])),
        extent("einsum, many labels", &[&[5, 4, 3, 4, 3, 5], &[5, 3, 4, 3, 4, 5]], 3600, |x| {
            Tensor::einsum("abcdef,fedcba->", &[&x[0], &x[1]])
        }),
        extent("einsum, many operands", &[&[30, 30][..]; 8], 30 * 30, |x| {
            let operands: Vec<Tensor> = x.iter().map(|x| x.mul_scalar(0.2)).collect::<Result<_>>()?;
            Tensor::einsum("ab,bc,cd,de,ef,fg,gh,hi->ai", &operands.iter().collect::<Vec<_>>())
        }),
        extent("einsum, a long diagonal", &[&[400, 400]], 400, |x| Tensor::einsum("ii->i", &[&x[0]])),
    ]
}

#[test]
fn at_their_largest() {
    check(extents());
}

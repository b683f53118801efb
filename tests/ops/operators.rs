//! `+ - * /` and unary `-` with tensors, references, results and numbers on both sides, against plain arithmetic.

use wgrad::{Device, Result, Tensor};

const A: f64 = 3.0;
const B: f64 = 5.0;

/// Each pair of operands that an operator takes, in both orders of the numbers.
macro_rules! pairs {
    ($a:ident $op:tt $b:ident) => {{
        let (left, right) = (|| $a.clone(), || $b.clone());
        let (good, fine) = (|| -> Result<Tensor> { Ok($a.clone()) }, || -> Result<Tensor> { Ok($b.clone()) });
        let expected = A $op B;
        for (pair, result) in [
            ("&tensor, &tensor", &$a $op &$b),
            ("tensor, tensor", left() $op right()),
            ("tensor, &tensor", left() $op &$b),
            ("&tensor, tensor", &$a $op right()),
            ("&tensor, result", &$a $op fine()),
            ("tensor, result", left() $op fine()),
            ("result, &tensor", good() $op &$b),
            ("result, tensor", good() $op right()),
            ("&tensor, number", &$a $op B),
            ("tensor, number", left() $op B),
            ("number, &tensor", A $op &$b),
            ("number, tensor", A $op right()),
        ] {
            let got = result.unwrap().to_f64().unwrap();
            assert_eq!(got, [expected; 2], "{pair}: {} {} {}", A, stringify!($op), B);
        }
    }};
}

#[test]
fn every_pair_of_operands_computes() {
    let device = Device::reference();
    let a = Tensor::full(&device, &[2], A as f32).unwrap();
    let b = Tensor::full(&device, &[2], B as f32).unwrap();
    pairs!(a + b);
    pairs!(a - b);
    pairs!(a * b);
    pairs!(a / b);
    assert_eq!((-&a).unwrap().to_f64().unwrap(), [-A; 2]);
    assert_eq!((-a).unwrap().to_f64().unwrap(), [-A; 2]);
}

#[test]
fn a_number_on_the_left_takes_the_tensors_type() {
    let device = Device::reference();
    let whole = Tensor::from_slice(&device, &[2, 7], &[2]).unwrap();
    assert_eq!((10.0 - &whole).unwrap().to_vec::<i32>().unwrap(), [8, 3]);
    assert_eq!((0.5 + &whole).unwrap().to_f64().unwrap(), [2.5, 7.5]);
}

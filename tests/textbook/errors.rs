//! Errors that name the mismatch.

use crate::padded;
use wgrad::{Conv2dOptions, CrossEntropyOptions, Device, Tensor};

#[test]
fn errors_name_what_does_not_fit() {
    let device = Device::reference();
    let ones = |shape: &[usize]| Tensor::ones(&device, shape).unwrap();
    let error = ones(&[2, 2, 2, 3, 4]).matmul(&ones(&[2, 2, 3, 4, 3])).unwrap_err().to_string();
    assert!(error.contains("matmul") && error.contains("2 and 3") && error.contains("dimension"), "{error}");
    let error = ones(&[1, 4, 5, 5]).conv2d(&ones(&[3, 2, 3, 3]), None, &Conv2dOptions { groups: 3, ..padded(0) });
    assert!(error.unwrap_err().to_string().contains("groups"));
    assert!(ones(&[1, 1, 2, 2]).conv2d(&ones(&[1, 1, 3, 3]), None, &padded(0)).is_err());
    let labels = Tensor::from_slice(&device, &[5], &[1]).unwrap();
    let loss = ones(&[1, 5]).cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
    assert!(loss.item::<f32>().unwrap_err().to_string().contains("index 5 is out of range for a dimension of size 5"));
}

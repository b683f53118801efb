//! Indices, labels and numbers that only kernels see: an error at the next synchronisation, after which the device goes on.

use crate::common::own_adapter;
use wgrad::{
    CrossEntropyOptions, Device, Error, GaussianNllOptions, MaxUnpool1dOptions, Reduction, Result, RoiAlignOptions,
    Tensor,
};

#[test]
fn positions_that_an_unpooled_plane_does_not_have() {
    for device in own_adapter().into_iter().chain([Device::reference()]) {
        let x = Tensor::ones(&device, &[1, 1, 2]).unwrap();
        for bad in [4, -1, i32::MAX, i32::MIN] {
            let indices = Tensor::from_slice(&device, &[0, bad], &[1, 1, 2]).unwrap();
            let y = x.max_unpool1d(&indices, [2], &MaxUnpool1dOptions::default()).unwrap();
            let error = y.to_vec::<f32>().unwrap_err();
            let Error::IndexOutOfRange { op: "max_unpool1d", index, size: 4 } = error else { panic!("{error}") };
            assert_eq!(index, i64::from(bad));
        }
    }
}

#[test]
fn labels_and_indices_out_of_range() {
    // A separate device: bad indices are reported at the next synchronisation of a device.
    for device in own_adapter().into_iter().chain([Device::reference()]) {
        let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]).unwrap();
        for bad in [3, -1, i32::MAX, i32::MIN] {
            let labels = Tensor::from_slice(&device, &[1, bad], &[2]).unwrap();
            let options = CrossEntropyOptions::default().reduction(Reduction::None);
            // Recording succeeds: the labels are on the device. The next synchronisation reports it, once.
            let loss = x.cross_entropy(&labels, &options).unwrap();
            let error = loss.to_vec::<f32>().unwrap_err();
            let Error::IndexOutOfRange { op: "cross_entropy", index, size: 3 } = error else { panic!("{error}") };
            assert_eq!(index, i64::from(bad));
            assert!(error.to_string().contains(&format!("index {bad} is out of range")), "{error}");
            let values = loss.to_vec::<f32>().unwrap();
            assert!(values[1].is_nan(), "{values:?}");
            let index = Tensor::from_slice(&device, &[0, bad], &[2, 1]).unwrap();
            let picked = x.gather(1, &index).unwrap();
            let error = picked.sum_all().unwrap().item::<f32>().unwrap_err();
            assert!(matches!(error, Error::IndexOutOfRange { op: "gather", size: 3, .. }), "{error}");
            assert!(picked.to_vec::<f32>().unwrap()[1].is_nan());
            // The device goes on.
            assert_eq!(x.sum_all().unwrap().item::<f32>().unwrap(), 21.0);
            device.sync().unwrap();
        }
        // An ignored label may have any value.
        let labels = Tensor::from_slice(&device, &[1, 77], &[2]).unwrap();
        let options = CrossEntropyOptions::default().ignore_index(77);
        let loss = x.cross_entropy(&labels, &options).unwrap().item::<f32>().unwrap();
        approx::assert_relative_eq!(loss, (1f32 + (-1f32).exp() + 1f32.exp()).ln(), max_relative = 1e-6);
    }
}

#[test]
fn regions_of_images_that_are_not_there() {
    type Pool = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let pools: [(&str, Pool); 2] = [
        ("roi_align", |x, boxes| x.roi_align(boxes, [1, 1], &RoiAlignOptions::default())),
        ("roi_pool", |x, boxes| x.roi_pool(boxes, [1, 1], 1.0)),
    ];
    for device in own_adapter().into_iter().chain([Device::reference()]) {
        let x = Tensor::ones(&device, &[2, 1, 3, 3]).unwrap();
        for (name, pool) in pools {
            for bad in [2.0f32, -1.0] {
                let boxes = [1.0, 0.0, 0.0, 2.0, 2.0, bad, 0.0, 0.0, 2.0, 2.0];
                let boxes = Tensor::from_slice(&device, &boxes, &[2, 5]).unwrap();
                let error = pool(&x, &boxes).unwrap().to_vec::<f32>().unwrap_err();
                let Error::IndexOutOfRange { op, index, size: 2 } = error else { panic!("{error}") };
                assert_eq!((op, index), (name, bad as i64));
                device.sync().unwrap();
            }
        }
    }
}

#[test]
fn variances_below_0() {
    for device in own_adapter().into_iter().chain([Device::reference()]) {
        let x = Tensor::zeros(&device, &[2, 3]).unwrap();
        // One variance a row, or an element; the first negative one is named. The bound does not excuse a negative one.
        for (var, shape, first) in
            [(&[1.0f32, -0.5][..], &[2][..], 1), (&[1.0, 0.0, -1e-9, -1.0, 2.0, 3.0], &[2, 3], 2)]
        {
            let var = Tensor::from_slice(&device, var, shape).unwrap();
            let options = GaussianNllOptions::default().reduction(Reduction::None);
            let loss = x.gaussian_nll_loss(&x, &var, &options).unwrap();
            let error = loss.to_vec::<f32>().unwrap_err();
            let Error::Negative { op: "gaussian_nll_loss", operand: "var", element } = error else { panic!("{error}") };
            assert_eq!(element, first);
            let text = format!("gaussian_nll_loss: element {first} of var is negative");
            assert!(error.to_string().contains(&text), "{error}");
            let values = loss.to_vec::<f32>().unwrap();
            assert!(values[3].is_nan(), "{values:?}");
            device.sync().unwrap();
        }
    }
}

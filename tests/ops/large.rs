//! Sizes at which other libraries give wrong answers: rows of 16 million elements, hundreds of thousands of short rows, grids
//! past 65,535 workgroups, tensors as large as a binding may be. Values are whole numbers chosen so that results are exact.

use crate::common::adapter;
use wgrad::{BatchNormOptions, Device, Error, Tensor};

const LONG: usize = 1 << 24;
const ROWS: usize = 200_000;

/// Numbers from -3 to 3, scattered, whose running sums stay small.
fn scattered(count: usize) -> Vec<f32> {
    let half = |i: usize| ((i.wrapping_mul(2_654_435_761) >> 7) % 7) as f32 - 3.0;
    (0..count).map(|i| if i % 2 == 0 { half(i) } else { -half(i - 1) }).collect()
}

fn long(device: &Device, values: &[f32]) -> Tensor {
    Tensor::from_slice(device, values, &[1, values.len()]).unwrap()
}

/// Fails at the first element that differs, without printing millions.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &[T], expected: &[T]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    if let Some(at) = (0..got.len()).find(|&at| got[at] != expected[at]) {
        panic!("{what}[{at}]: expected {:?}, got {:?}", expected[at], got[at]);
    }
}

fn near(what: &str, got: &[f32], expected: f32, tolerance: f32) {
    if let Some(at) = got.iter().position(|g| (g - expected).abs() > tolerance || g.is_nan()) {
        panic!("{what}[{at}]: expected {expected}, got {}", got[at]);
    }
}

#[test]
fn reductions_of_one_long_row() {
    let Some(device) = adapter() else { return };
    let mut values = scattered(LONG);
    let (high, low) = (LONG - 12_345, 65_536 * 3 + 1);
    values[high] = 9.0;
    values[low] = -8.0;
    let x = long(&device, &values);
    let sum = values.iter().map(|&v| f64::from(v)).sum::<f64>() as f32;
    assert_eq!(x.sum(1).unwrap().to_vec::<f32>().unwrap(), [sum]);
    assert_eq!(x.sum_all().unwrap().item::<f32>().unwrap(), sum);
    assert_eq!(x.mean(1).unwrap().item::<f32>().unwrap(), sum / LONG as f32);
    assert_eq!(x.amax(1).unwrap().item::<f32>().unwrap(), 9.0);
    assert_eq!(x.amin_all().unwrap().item::<f32>().unwrap(), -8.0);
    assert_eq!(x.argmax(1).unwrap().item::<i32>().unwrap(), high as i32);
    assert_eq!(x.argmin_all().unwrap().item::<i32>().unwrap(), low as i32);
    let (value, index) = x.max(1).unwrap();
    assert_eq!((value.item::<f32>().unwrap(), index.item::<i32>().unwrap()), (9.0, high as i32));
    let zeros = values.iter().filter(|&&v| v == 0.0).count();
    assert_eq!(x.count_nonzero_all().unwrap().item::<i32>().unwrap(), (LONG - zeros) as i32);
    assert!(x.any_all().unwrap().item::<bool>().unwrap());
    assert!(!x.all(1).unwrap().item::<bool>().unwrap());
}

#[test]
fn products_and_powers_of_one_long_row() {
    let Some(device) = adapter() else { return };
    let mut values = vec![1.0f32; LONG];
    for at in [3, 70_000, LONG - 1] {
        values[at] = 2.0;
    }
    let x = long(&device, &values);
    assert_eq!(x.prod(1).unwrap().item::<f32>().unwrap(), 8.0);
    let running = x.cumprod(1).unwrap().to_vec::<f32>().unwrap();
    assert_eq!([running[2], running[69_999], running[70_000], running[LONG - 1]], [1.0, 2.0, 4.0, 8.0]);
    let logsumexp = Tensor::zeros(&device, &[1, LONG]).unwrap().logsumexp(1).unwrap();
    near("logsumexp", &logsumexp.to_vec::<f32>().unwrap(), 24.0 * std::f32::consts::LN_2, 1e-5);
}

#[test]
fn running_sums_of_one_long_row_and_their_gradient() {
    let Some(device) = adapter() else { return };
    let values = scattered(LONG);
    let expected = |values: &mut dyn Iterator<Item = &f32>| -> Vec<f32> {
        let mut total = 0.0;
        values
            .map(|v| {
                total += v;
                total
            })
            .collect()
    };
    let x = long(&device, &values).requires_grad();
    let y = x.cumsum(1).unwrap();
    same("cumsum", &y.to_vec::<f32>().unwrap(), &expected(&mut values.iter()));
    let gradient = wgrad::grad(&[&y], &[&x], &[&x.detach()]).unwrap().remove(0).unwrap();
    let mut backwards = expected(&mut values.iter().rev());
    backwards.reverse();
    same("gradient", &gradient.to_vec::<f32>().unwrap(), &backwards);
}

#[test]
fn one_long_row_is_sorted() {
    let Some(device) = adapter() else { return };
    // 2^20 different numbers, each some sixteen times.
    let values: Vec<f32> = (0..LONG).map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 12) as f32 - 5e5).collect();
    let x = long(&device, &values).requires_grad();
    let (sorted, indices) = x.sort(1, false).unwrap();
    let gradient = wgrad::grad(&[&sorted], &[&x], &[&sorted.detach()]).unwrap().remove(0).unwrap();
    same("gradient", &gradient.to_vec::<f32>().unwrap(), &values);
    let (sorted, indices) = (sorted.to_vec::<f32>().unwrap(), indices.to_vec::<i32>().unwrap());
    let mut seen = vec![false; LONG];
    for (at, &index) in indices.iter().enumerate() {
        assert_eq!(sorted[at], values[index as usize], "at {at}");
        assert!(!std::mem::replace(&mut seen[index as usize], true), "{index} comes twice");
        let in_order =
            at == 0 || sorted[at - 1] < sorted[at] || (sorted[at - 1] == sorted[at] && indices[at - 1] < index);
        assert!(in_order, "{} stands before {} at {at}", sorted[at - 1], sorted[at]);
    }
}

#[test]
fn many_short_rows() {
    let Some(device) = adapter() else { return };
    let values = scattered(3 * ROWS);
    let x = Tensor::from_slice(&device, &values, &[ROWS, 3]).unwrap();
    let rows = || values.chunks_exact(3);
    let each = |f: fn(&[f32]) -> f32| -> Vec<f32> { rows().map(f).collect() };
    let read = |t: wgrad::Result<Tensor>| t.unwrap().to_vec::<f32>().unwrap();
    same("sum", &read(x.sum(1)), &each(|r| r.iter().sum()));
    same("prod", &read(x.prod(1)), &each(|r| r.iter().product()));
    same("amax", &read(x.amax(1)), &each(|r| r[0].max(r[1]).max(r[2])));
    let means: Vec<f32> = each(|r| r.iter().sum::<f32>());
    for (got, sum) in read(x.mean(1)).iter().zip(means) {
        assert!((got - sum / 3.0).abs() < 1e-6);
    }
    for (got, row) in read(x.logsumexp(1)).iter().zip(rows()) {
        let expected = row.iter().map(|v| v.exp()).sum::<f32>().ln();
        assert!((got - expected).abs() < 1e-5, "{row:?}: {got}");
    }
    let first = |r: &[f32]| (0..3).rev().max_by(|&a, &b| r[a].total_cmp(&r[b])).unwrap() as i32;
    let places: Vec<i32> =
        rows().map(|r| if r.contains(&0.0) && r.iter().all(|&v| v <= 0.0) { -1 } else { first(r) }).collect();
    for (at, (got, expected)) in x.argmax(1).unwrap().to_vec::<i32>().unwrap().iter().zip(places).enumerate() {
        // 0 and -0 are equal, which total_cmp ignores.
        assert!(expected == -1 || *got == expected, "row {at}");
    }
    same(
        "cumsum",
        &read(x.cumsum(1)),
        &rows().flat_map(|r| [r[0], r[0] + r[1], r[0] + r[1] + r[2]]).collect::<Vec<_>>(),
    );
    let (sorted, indices) = x.sort(1, true).unwrap();
    let mut expected = Vec::new();
    for row in rows() {
        let mut order = [0, 1, 2];
        order.sort_by(|&a: &i32, &b| row[b as usize].partial_cmp(&row[a as usize]).unwrap());
        expected.extend(order);
    }
    same("indices", &indices.to_vec::<i32>().unwrap(), &expected);
    let picked: Vec<f32> = expected.iter().enumerate().map(|(at, &i)| values[at / 3 * 3 + i as usize]).collect();
    same("sorted", &sorted.to_vec::<f32>().unwrap(), &picked);
    let down: Vec<f32> = (0..3).map(|c| rows().map(|r| r[c]).sum()).collect();
    same("sum of columns", &read(x.sum(0)), &down);
    let last = read(x.cumsum(0));
    same("cumsum of columns", &last[3 * ROWS - 3..], &down);
}

#[test]
fn softmax_and_normalization_of_long_rows() {
    let Some(device) = adapter() else { return };
    let read = |t: wgrad::Result<Tensor>| t.unwrap().to_vec::<f32>().unwrap();
    let flat = Tensor::full(&device, &[1, LONG], 7.0f32).unwrap().requires_grad();
    near("softmax", &read(flat.softmax(1)), 1.0 / LONG as f32, 0.0);
    near("log_softmax", &read(flat.log_softmax(1)), -24.0 * std::f32::consts::LN_2, 1e-5);
    // A cotangent whose sum is 0.
    let scattered = scattered(LONG);
    let cotangent = long(&device, &scattered);
    let gradient = |y: &Tensor| wgrad::grad(&[y], &[&flat], &[&cotangent]).unwrap().remove(0).unwrap();
    same("log_softmax's gradient", &read(Ok(gradient(&flat.log_softmax(1).unwrap()))), &scattered);
    let scaled: Vec<f32> = scattered.iter().map(|v| v / LONG as f32).collect();
    same("softmax's gradient", &read(Ok(gradient(&flat.softmax(1).unwrap()))), &scaled);
    // Half of them -1, half 1: mean 0, variance 1.
    let count = 1 << 22;
    let signs: Vec<f32> = (0..count).map(|i| if i < count / 2 { 1.0 } else { -1.0 }).collect();
    let x = long(&device, &signs);
    assert_eq!(read(x.var(1, 0.0)), [1.0]);
    assert_eq!(read(x.std_all(0.0)), [1.0]);
    same("layer_norm", &read(x.layer_norm(&[count], None, None, 0.0)), &signs);
    let batch = x.reshape(&[count as isize / 4, 4]).unwrap();
    let training = BatchNormOptions::default().training(true).eps(0.0);
    same("batch_norm", &read(batch.batch_norm(None, None, None, None, &training)), &signs);
}

#[test]
fn softmax_and_normalization_of_many_rows() {
    let Some(device) = adapter() else { return };
    let read = |t: wgrad::Result<Tensor>| t.unwrap().to_vec::<f32>().unwrap();
    let flat = Tensor::full(&device, &[ROWS, 4], -2.0f32).unwrap();
    near("softmax", &read(flat.softmax(1)), 0.25, 0.0);
    let signs: Vec<f32> = (0..4 * ROWS).map(|i| if (i % 4 < 2) == (i / 4 % 2 == 0) { 1.0 } else { -1.0 }).collect();
    let x = Tensor::from_slice(&device, &signs, &[ROWS, 4]).unwrap();
    near("var", &read(x.var(1, 0.0)), 1.0, 0.0);
    same("layer_norm", &read(x.layer_norm(&[4], None, None, 0.0)), &signs);
    let training = BatchNormOptions::default().training(true).eps(0.0);
    same("batch_norm", &read(x.batch_norm(None, None, None, None, &training)), &signs);
}

#[test]
fn matrices_of_one_row_and_of_very_many() {
    let Some(device) = adapter() else { return };
    const MANY: usize = 70_000;
    let ones = |shape: &[usize]| Tensor::ones(&device, shape).unwrap();
    for (rows, depth, columns) in
        [(1, MANY, 1), (MANY, 1, 3), (3, 1, MANY), (MANY, 2, 1), (1, 2, MANY), (2, MANY, 3), (1, 1, 1)]
    {
        let product = ones(&[rows, depth]).matmul(&ones(&[depth, columns])).unwrap();
        assert_eq!(product.shape()[..], [rows, columns]);
        near("matmul", &product.to_vec::<f32>().unwrap(), depth as f32, 0.0);
    }
    let batched = ones(&[MANY, 1, 2]).matmul(&ones(&[MANY, 2, 1])).unwrap();
    near("batched matmul", &batched.to_vec::<f32>().unwrap(), 2.0, 0.0);
}

#[test]
fn products_of_more_tiles_than_a_dimension_of_a_grid_has() {
    let Some(device) = adapter() else { return };
    let values = |count: usize| -> Vec<f32> { (0..count).map(|i| (i % 13) as f32 - 6.0).collect() };
    // Past 65,535 tiles of 8 rows, of 32, and of 64 columns.
    for (rows, columns) in [(600_000, 3), (4_300_000, 1), (1, 4_300_000)] {
        let (left, right) = (values(rows), values(columns));
        let x = Tensor::from_slice(&device, &left, &[rows, 1]).unwrap();
        let y = Tensor::from_slice(&device, &right, &[1, columns]).unwrap();
        let product = x.matmul(&y).unwrap();
        // Every row and column once, without reading all of a large product.
        let ends = [product.narrow(0, rows - 1, 1).unwrap(), product.narrow(1, columns - 1, 1).unwrap().t().unwrap()];
        let got = ends.map(|end| end.to_vec::<f32>().unwrap());
        same("last row", &got[0], &right.iter().map(|v| v * left[rows - 1]).collect::<Vec<_>>());
        same("last column", &got[1], &left.iter().map(|v| v * right[columns - 1]).collect::<Vec<_>>());
    }
}

#[test]
fn pointwise_past_65535_workgroups() {
    let Some(device) = adapter() else { return };
    let count = LONG + 259;
    let values = scattered(count);
    let x = Tensor::from_slice(&device, &values, &[count]).unwrap();
    let y = x.mul_scalar(2.0).unwrap().add_scalar(1.0).unwrap().to_vec::<f32>().unwrap();
    same("pointwise", &y, &values.iter().map(|v| 2.0 * v + 1.0).collect::<Vec<_>>());
}

#[test]
fn the_largest_tensor_and_one_element_more() {
    let Some(device) = adapter() else { return };
    // A GPU may bind more than a test should use; the limit itself is tested in any case.
    let most = device.adapter().unwrap().max_binding_bytes;
    let count = (most.min(1 << 29) / 4) as usize;
    let largest = Tensor::full(&device, &[count], 1.0f32).unwrap();
    let halves = largest.narrow(0, 0, count / 2).unwrap().sum_all().unwrap();
    assert_eq!(halves.item::<f32>().unwrap(), (count / 2) as f32);
    assert_eq!(largest.copy().unwrap().sum(0).unwrap().item::<f32>().unwrap(), count as f32);
    let Ok(elements) = usize::try_from(most / 4) else { return };
    let one = Tensor::zeros(&device, &[1]).unwrap();
    let past = [
        Tensor::full(&device, &[elements + 1], 1.0f32),
        Tensor::rand(&device, &[elements + 1]),
        one.expand(&[elements as isize + 1]).and_then(|wide| wide.copy()),
        one.expand(&[elements as isize + 1]).and_then(|wide| wide.cumsum(0)),
        one.expand(&[elements as isize + 1]).and_then(|wide| wide.argsort(0, false)),
        one.expand(&[elements as isize + 1]).and_then(|wide| wide.softmax(0)),
    ];
    for result in past {
        assert!(matches!(result, Err(Error::TooLarge { .. })), "{result:?}");
    }
}

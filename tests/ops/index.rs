//! Picking and storing by index: many elements, and invalid indices.

use crate::common::{Random, adapter, own_adapter};
use wgrad::nn::{Embedding, Module, Scope};
use wgrad::{Device, EmbeddingOptions, Error, Result, ScatterReduction, Tensor};

/// Whole numbers whose sums f32 holds exactly, so that every order gives the same result.
fn whole(count: usize, most: f64, random: &mut Random) -> Vec<i32> {
    (0..count).map(|_| (random.unit() * most) as i32).collect()
}

fn floats(values: &[i32]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

#[test]
fn a_million_elements_add_up_exactly() {
    let Some(device) = adapter() else { return };
    let count = 1 << 20;
    let mut random = Random(5);
    let values = whole(count, 8.0, &mut random);
    // Spread out; crowded; all at one index; nearly all at one index among many.
    for (places, last) in [(1 << 20, 1e9), (1000, 1e9), (1, 1e9), (70_000, 20.0)] {
        let index: Vec<i32> =
            whole(count, places as f64, &mut random).into_iter().map(|i| i.min(last as i32)).collect();
        let mut expected = vec![0i32; places];
        for (&to, &value) in index.iter().zip(&values) {
            expected[to as usize] += value;
        }
        let index = Tensor::from_slice(&device, &index, &[count]).unwrap();
        let zeros = Tensor::zeros(&device, &[places]).unwrap();
        let source = Tensor::from_slice(&device, &floats(&values), &[count]).unwrap();
        let sums = zeros.scatter_add(0, &index, &source).unwrap();
        assert!(sums.to_vec::<f32>().unwrap() == floats(&expected), "{places} places");
        // The gradient of the lookup uses the other algorithm.
        let table = Tensor::zeros(&device, &[places, 1]).unwrap().requires_grad();
        let rows = index.embedding(&table, &EmbeddingOptions::default()).unwrap();
        rows.mul(&source.unsqueeze(1).unwrap()).unwrap().sum_all().unwrap().backward().unwrap();
        assert!(table.grad().unwrap().to_vec::<f32>().unwrap() == floats(&expected), "gradient of {places} rows");
    }
}

#[test]
fn the_last_of_many_wins() {
    let Some(device) = adapter() else { return };
    let (count, places) = (300_000, 1000);
    let index = whole(count, places as f64, &mut Random(6));
    let mut expected = vec![-1i32; places];
    for (n, &to) in index.iter().enumerate() {
        expected[to as usize] = n as i32;
    }
    let index = Tensor::from_slice(&device, &index, &[count]).unwrap();
    let source = Tensor::from_slice(&device, &(0..count as i32).collect::<Vec<_>>(), &[count]).unwrap();
    let placed = Tensor::full(&device, &[places], -1i32).unwrap().scatter(0, &index, &source).unwrap();
    assert_eq!(placed.to_vec::<i32>().unwrap(), expected);
}

/// A call with a bad index, by the name its error has.
type Call = (&'static str, fn(&Tensor, &Tensor) -> Result<Tensor>);

#[test]
fn indices_out_of_range_show_at_the_next_synchronisation() {
    let calls: [Call; 9] = [
        ("gather", |x, i| x.gather(0, i)),
        ("index_select", |x, i| x.index_select(0, i)),
        ("take_along_dim", |x, i| x.take_along_dim(i, None)),
        ("scatter", |x, i| x.scatter(0, i, &i.to_dtype(x.dtype())?)),
        ("scatter", |x, i| x.scatter_value(0, i, 2.0)),
        ("scatter", |x, i| x.scatter_reduce(0, i, &i.to_dtype(x.dtype())?, ScatterReduction::Multiply)),
        ("scatter_add", |x, i| x.scatter_add(0, i, &i.to_dtype(x.dtype())?)),
        ("index_add", |x, i| x.index_add(0, i, &i.to_dtype(x.dtype())?, 2.0)),
        ("embedding", |x, i| i.embedding(&x.unsqueeze(1)?, &EmbeddingOptions::default())),
    ];
    for device in own_adapter().into_iter().chain([Device::reference()]) {
        // Few indices are scanned, many are sorted.
        for (size, count) in [(5, 3), (500, 200)] {
            let x = Tensor::ones(&device, &[size]).unwrap();
            for (op, call) in calls {
                for bad in [size as i32, -1, i32::MAX, i32::MIN] {
                    let mut index = vec![1; count];
                    index[count / 2] = bad;
                    let index = Tensor::from_slice(&device, &index, &[count]).unwrap();
                    let error = call(&x, &index).unwrap().to_vec::<f32>().unwrap_err();
                    match error {
                        Error::IndexOutOfRange { op: named, index, size: of } => {
                            assert_eq!((named, index, of), (op, i64::from(bad), size));
                        }
                        error => panic!("{op} of {bad}: {error}"),
                    }
                    // The device goes on.
                    assert_eq!(x.sum_all().unwrap().item::<f32>().unwrap(), size as f32);
                }
            }
        }
    }
}

#[test]
fn an_error_tells_of_one_call() {
    let Some(device) = own_adapter() else { return };
    let (short, long) = (Tensor::ones(&device, &[5]).unwrap(), Tensor::ones(&device, &[1000]).unwrap());
    let indices = |bad: i32| {
        let mut index = vec![1; 300];
        index[100] = bad;
        Tensor::from_slice(&device, &index, &[300]).unwrap()
    };
    let mut seen = Vec::new();
    for _ in 0..40 {
        // The same operation on two sizes, and another one, in one flush.
        let (first, second) = (short.gather(0, &indices(7)).unwrap(), long.gather(0, &indices(-3)).unwrap());
        let third = long.scatter_add(0, &indices(2000), &first).unwrap().narrow(0, 0, 300).unwrap();
        match first.add(&second).unwrap().mul(&third).unwrap().to_vec::<f32>().unwrap_err() {
            Error::IndexOutOfRange { op, index, size } => seen.push((op, index, size)),
            error => panic!("{error}"),
        }
    }
    let calls = [("gather", 7, 5), ("gather", -3, 1000), ("scatter_add", 2000, 1000)];
    assert!(calls.contains(&seen[0]), "{:?}", seen[0]);
    assert!(seen.iter().all(|fault| *fault == seen[0]), "{seen:?}");
}

#[test]
fn what_cannot_be_is_an_error_and_no_panic() {
    let device = Device::reference();
    let empty = Tensor::zeros(&device, &[0, 3]).unwrap();
    let index = Tensor::full(&device, &[1, 3], 0i32).unwrap();
    let source = Tensor::ones(&device, &[1, 3]).unwrap();
    assert!(empty.scatter(0, &index, &source).is_err());
    assert!(empty.scatter_add(0, &index, &source).is_err());
    assert!(empty.take_along_dim(&index, Some(0)).is_err());
    assert!(empty.index_add(0, &index.reshape(&[3]).unwrap(), &Tensor::ones(&device, &[3, 3]).unwrap(), 1.0).is_err());
    assert!(empty.gather(0, &index).unwrap().to_vec::<f32>().is_err());
    let nothing = Tensor::full(&device, &[0], 0i32).unwrap();
    let table = Tensor::zeros(&device, &[0, 3]).unwrap();
    let options = EmbeddingOptions::default().scale_grad_by_freq(true);
    assert_eq!(nothing.embedding(&table, &options).unwrap().shape()[..], [0, 3]);
    for padding in [isize::MIN, -3, 2, isize::MAX] {
        let options = EmbeddingOptions::default().padding_idx(padding);
        let error = nothing.embedding(&Tensor::zeros(&device, &[2, 3]).unwrap(), &options).unwrap_err();
        assert!(error.to_string().contains(&padding.to_string()), "{error}");
        assert!(Embedding::new(&Scope::new(&device), 2, 3, &options).is_err());
    }
    // Calls without a gradient return that error.
    let x = Tensor::ones(&device, &[3]).unwrap().requires_grad();
    let index = Tensor::full(&device, &[2], 1i32).unwrap();
    let product = x.scatter_reduce(0, &index, &x.narrow(0, 0, 2).unwrap(), ScatterReduction::Multiply).unwrap();
    let error = product.sum_all().unwrap().backward().unwrap_err();
    assert!(matches!(error, Error::NotDifferentiable { op: "scatter" }), "{error}");
}

#[test]
fn an_embedding_learns_all_rows_but_the_padding() {
    for device in adapter().into_iter().chain([Device::reference()]) {
        device.manual_seed(3);
        let options = EmbeddingOptions::default().padding_idx(-1);
        let layer = Embedding::new(&Scope::new(&device).at("words"), 50, 40, &options).unwrap();
        assert_eq!(layer.parameters().len(), 1);
        assert_eq!(layer.weight.name(), "words.weight");
        let values = layer.weight.value().to_f64().unwrap();
        assert!(values[49 * 40..].iter().all(|&v| v == 0.0));
        let (count, rest) = (49.0 * 40.0, &values[..49 * 40]);
        let mean = rest.iter().sum::<f64>() / count;
        let variance = rest.iter().map(|v| v * v).sum::<f64>() / count;
        // Four standard errors each.
        assert!(mean.abs() < 4.0 / f64::sqrt(count), "{mean}");
        assert!((variance - 1.0).abs() < 4.0 * f64::sqrt(2.0 / count), "{variance}");
        let words = Tensor::from_slice(&device, &[3, 49, 3, 7], &[2, 2]).unwrap();
        layer.forward(&words).unwrap().sum_all().unwrap().backward().unwrap();
        let gradient = layer.weight.grad().unwrap().to_vec::<f32>().unwrap();
        let uses = |row: usize| gradient[row * 40];
        assert_eq!((uses(3), uses(7), uses(49), uses(0)), (2.0, 1.0, 0.0, 0.0));
    }
}

//! Bad input: the error names the operation, the shapes and the rule, and nothing panics. Calls that PyTorch allows work.

#[path = "../common/mod.rs"]
mod common;
mod entering;
mod found_on_device;
mod windows;

use common::adapter;
use wgrad::{
    BatchNormOptions, Conv2dOptions, CrossEntropyOptions, DType, Device, Error, InstanceNormOptions, MaxPool2dOptions,
    Parameter, Reduction, Result, Tensor, TripletMarginOptions, grad,
};

fn ones(shape: &[usize]) -> Tensor {
    Tensor::ones(&Device::reference(), shape).unwrap()
}

/// Ones that share a device with `t`.
fn with(t: &Tensor, shape: &[usize]) -> Tensor {
    Tensor::ones(t.device(), shape).unwrap()
}

/// The text of the error, which holds every part.
fn says<T>(result: Result<T>, parts: &[&str]) {
    let error = match result {
        Ok(_) => panic!("no error; it must hold {parts:?}"),
        Err(error) => error.to_string(),
    };
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

fn devices() -> impl Iterator<Item = Device> {
    adapter().into_iter().chain([Device::reference()])
}

#[test]
fn shapes_that_do_not_fit() {
    let x = ones(&[2, 3]);
    says(x.add(&with(&x, &[4])), &["add", "[2, 3]", "[4]", "dimension 1", "3 and 4"]);
    says(x.matmul(&with(&x, &[4, 5])), &["matmul", "[2, 3]", "[4, 5]"]);
    let batched = with(&x, &[2, 2, 2, 3, 4]);
    says(batched.matmul(&with(&x, &[2, 3, 4, 3])), &["matmul", "2 and 3", "dimension 2"]);
    says(x.matmul(&with(&x, &[])), &["matmul", "[]"]);
    says(x.linear(&with(&x, &[5, 4]), None), &["linear", "[2, 3]", "[5, 4]"]);
    says(x.reshape(&[4, 2]), &["reshape", "[2, 3]", "[4, 2]"]);
    says(x.reshape(&[-1, -1]), &["reshape"]);
    says(x.reshape(&[-1, 4]), &["reshape", "[2, 3]"]);
    says(x.permute(0), &["permute"]);
    says(x.permute([0, 0]), &["permute"]);
    says(x.expand(&[2, 4]), &["expand", "[2, 3]", "[2, 4]"]);
    says(with(&x, &[2, 3, 4]).t(), &["[2, 3, 4]"]);
    says(x.narrow(1, 2, 2), &["narrow"]);
    says(x.slice(1, 0, 2, 0), &["slice"]);
    says(x.softmax(-3), &["softmax", "dimension -3"]);
    says(x.cumsum(2), &["cumsum", "dimension 2"]);
    says(x.sort(-3, false), &["sort", "dimension -3"]);
    says(x.argsort(2, false), &["argsort", "dimension 2"]);
    says(x.topk(4, 1, true), &["topk", "4", "[2, 3]", "3"]);
    says(x.kthvalue(0, 0), &["kthvalue", "0", "[2, 3]", "1 to 2"]);
    says(x.item::<f32>(), &["item", "[2, 3]"]);
    says(Tensor::from_slice(x.device(), &[1.0f32; 5], &[2, 3]), &["from_slice", "5 values", "[2, 3]", "6"]);
    let index = Tensor::full(x.device(), &[3], 0i32).unwrap();
    says(x.gather(0, &index), &["gather", "[3]", "[2, 3]"]);
}

#[test]
fn dimensions_that_cannot_be() {
    let x = ones(&[2, 3]);
    macro_rules! refuse {
        ($($reduction:ident $keepdim:ident ($($before:expr,)*; $(, $after:expr)*))*) => {$(
            let name = stringify!($reduction);
            says(x.$reduction($($before,)* 2 $(, $after)*), &[name, "dimension 2", "2 dimensions"]);
            says(x.$keepdim($($before,)* [0, -3] $(, $after)*), &[name, "dimension -3", "2 dimensions"]);
            says(x.$keepdim($($before,)* usize::MAX $(, $after)*), &[name, "out of range"]);
            says(x.$reduction($($before,)* [0, -2] $(, $after)*), &[name, "dimension 0 appears twice"]);
        )*};
    }
    refuse! {
        sum sum_keepdim(;) mean mean_keepdim(;) prod prod_keepdim(;) amax amax_keepdim(;) amin amin_keepdim(;)
        argmax argmax_keepdim(;) argmin argmin_keepdim(;) all all_keepdim(;) any any_keepdim(;)
        count_nonzero count_nonzero_keepdim(;) logsumexp logsumexp_keepdim(;) norm norm_keepdim(2.0,;)
        var var_keepdim(;, 1.0) std std_keepdim(;, 1.0)
    }
    says(x.max(2), &["max", "dimension 2"]);
    says(x.min_keepdim(-3), &["min", "dimension -3"]);
    says(x.kthvalue(1, 2), &["kthvalue", "dimension 2"]);
    says(x.flip([1, 1]), &["flip", "dimension 1 appears twice"]);
    says(x.squeeze([0, 2]), &["squeeze", "dimension 2"]);
}

#[test]
fn losses_that_cannot_be() {
    let mean = Reduction::Mean;
    let x = ones(&[2, 3]);
    let (row, other) = (with(&x, &[3]), with(&x, &[2, 4]));
    says(x.mse_loss(&other, mean), &["[2, 3]", "[2, 4]"]);
    says(x.mse_loss(&Tensor::full(x.device(), &[3], 0i32).unwrap(), mean), &["mse_loss", "i32"]);
    says(x.weighted_mse_loss(&x, &row, mean), &["mse_loss", "weight [3]", "[2, 3]"]);
    says(x.weighted_l1_loss(&x, &row, mean), &["l1_loss", "weight [3]", "[2, 3]"]);
    says(x.smooth_l1_loss(&x, -1.0, mean), &["smooth_l1_loss", "beta is -1"]);
    says(x.huber_loss(&x, 0.0, mean), &["huber_loss", "delta is 0"]);
    says(x.binary_cross_entropy(&row, None, mean), &["binary_cross_entropy", "target [3]", "[2, 3]"]);
    says(x.binary_cross_entropy(&x, Some(&with(&x, &[2])), mean), &["binary_cross_entropy", "[2]", "[2, 3]"]);
    says(
        x.binary_cross_entropy_with_logits(&x, None, Some(&with(&x, &[2])), mean),
        &["binary_cross_entropy_with_logits", "[2]", "[2, 3]"],
    );
    says(x.sigmoid_focal_loss(&x, 1.5, 2.0, mean), &["sigmoid_focal_loss", "alpha is 1.5"]);
    says(x.sigmoid_focal_loss(&x, 0.5, -2.0, mean), &["sigmoid_focal_loss", "gamma is -2"]);
    says(x.dice_loss(&x, 1.0, mean), &["dice_loss", "[N, C, d1, ..]", "[2, 3]"]);
    says(x.kl_div(&other, &Default::default()), &["[2, 3]", "[2, 4]"]);
    says(x.cosine_embedding_loss(&x, &x, 0.0, mean), &["cosine_embedding_loss", "target [2, 3]"]);
    says(x.hinge_embedding_loss(&other, 1.0, mean), &["hinge_embedding_loss", "[2, 3]", "[2, 4]"]);
    says(x.margin_ranking_loss(&x, &row, 0.0, mean), &["margin_ranking_loss", "target [3]"]);
    says(x.triplet_margin_loss(&x, &row, &Default::default()), &["triplet_margin_loss", "[2, 3]", "[3]"]);
    let flat = TripletMarginOptions::default().margin(0.0);
    says(x.triplet_margin_loss(&x, &x, &flat), &["triplet_margin_loss", "margin is 0"]);
    says(x.norm_all(f64::NAN), &["norm", "NaN"]);
    says(x.norm(2.0, 2), &["norm", "dimension 2"]);
}

#[test]
fn normalizations_that_cannot_be() {
    let x = ones(&[2, 6, 5]);
    says(x.layer_norm(&[6], None, None, 0.1), &["layer_norm", "[2, 6, 5]", "[6]"]);
    says(x.layer_norm(&[], None, None, 0.1), &["layer_norm", "[]"]);
    says(x.layer_norm(&[5], Some(&with(&x, &[6])), None, 0.1), &["layer_norm", "weight [6]", "[5]"]);
    says(x.group_norm(4, None, None, 0.1), &["group_norm", "num_groups 4", "6 channels", "[2, 6, 5]"]);
    says(x.group_norm(0, None, None, 0.1), &["group_norm", "num_groups 0"]);
    says(x.group_norm(2, None, Some(&with(&x, &[5])), 0.1), &["group_norm", "bias [5]", "[6]", "[2, 6, 5]"]);
    says(with(&x, &[1, 3]).group_norm(3, None, None, 0.1), &["group_norm", "[1, 3]"]);
    says(with(&x, &[6]).group_norm(3, None, None, 0.1), &["group_norm", "[6]", "[N, C, ..]"]);
    let options = BatchNormOptions::default();
    let training = BatchNormOptions { training: true, ..options };
    says(x.batch_norm(None, None, None, None, &options), &["batch_norm", "running_mean"]);
    says(x.batch_norm(None, None, Some(&with(&x, &[5])), None, &training), &["batch_norm", "weight [5]", "[6]"]);
    says(with(&x, &[1, 3, 1]).batch_norm(None, None, None, None, &training), &["batch_norm", "[1, 3, 1]"]);
    says(with(&x, &[3]).batch_norm(None, None, None, None, &training), &["batch_norm", "[3]", "[N, C, ..]"]);
    says(x.group_norm(2, None, None, 0.1).and(with(&x, &[2, 4, 0]).group_norm(2, None, None, 0.1)), &["[2, 4, 0]"]);
    let statistic = Parameter::buffer("running_mean", &with(&x, &[6]));
    let short = Parameter::buffer("running_var", &with(&x, &[5]));
    let statistic = Some(&statistic);
    says(x.batch_norm(statistic, None, None, None, &training), &["batch_norm", "running_mean and running_var"]);
    says(x.batch_norm(statistic, Some(&short), None, None, &options), &["batch_norm", "running_var [5]", "[6]"]);
    let instance = InstanceNormOptions::default();
    let running = InstanceNormOptions { use_input_stats: false, ..instance };
    says(x.instance_norm(None, None, None, None, &running), &["instance_norm", "running_mean"]);
    says(x.instance_norm(None, statistic, None, None, &instance), &["instance_norm", "running_mean and running_var"]);
    says(x.instance_norm(statistic, Some(&short), None, None, &instance), &["instance_norm", "running_var [5]"]);
    says(x.instance_norm(None, None, None, Some(&with(&x, &[5])), &instance), &["instance_norm", "bias [5]", "[6]"]);
    says(with(&x, &[2, 6, 1]).instance_norm(None, None, None, None, &instance), &["instance_norm", "[2, 6, 1]"]);
    says(with(&x, &[6]).instance_norm(None, None, None, None, &running), &["instance_norm", "[6]", "[N, C, ..]"]);
    says(x.rms_norm(&[6], None, None), &["rms_norm", "[2, 6, 5]", "[6]"]);
    says(x.rms_norm(&[], None, None), &["rms_norm", "[]"]);
    says(x.rms_norm(&[5], Some(&with(&x, &[1])), None), &["rms_norm", "weight [1]", "[5]"]);
    says(with(&x, &[2, 3]).local_response_norm(2, 1.0, 1.0, 1.0), &["local_response_norm", "[2, 3]"]);
    says(x.local_response_norm(0, 1.0, 1.0, 1.0), &["local_response_norm", "size is 0"]);
    says(x.normalize(2.0, 3, 1e-12), &["dimension 3"]);
    let whole = x.to_dtype(DType::I32).unwrap();
    says(whole.normalize(2.0, 1, 1e-12), &["normalize", "i32"]);
    says(whole.softmin(1), &["softmin", "i32"]);
    says(whole.rms_norm(&[5], None, None), &["rms_norm", "i32"]);
    says(x.softmin(3), &["softmin", "dimension 3"]);
    says(x.var(3, 1.0), &["var", "dimension 3"]);
    says(x.to_dtype(DType::I32).unwrap().std_all(1.0), &["std", "i32"]);
}

#[test]
fn wrong_types() {
    let x = ones(&[3, 3]);
    let whole = Tensor::full(x.device(), &[3, 3], 1i32).unwrap();
    let truth = Tensor::full(x.device(), &[3, 3], true).unwrap();
    says(truth.mean_all(), &["mean", "bool"]);
    says(whole.gelu(), &["gelu", "i32"]);
    says(whole.lerp(&x, 0.5), &["lerp", "i32"]);
    says(truth.sub(&x), &["sub", "bool"]);
    says(truth.floor(), &["floor", "bool"]);
    says(whole.add(&whole.to_dtype(DType::U32).unwrap()), &["add", "u32"]);
    says(whole.addcdiv(&whole, &whole, 1.0), &["addcdiv", "i32"]);
    says(x.masked_fill(&whole, 1.0), &["masked_fill", "i32"]);
    says(x.one_hot(None), &["one_hot", "f32"]);
    says(whole.mean_all(), &["mean", "i32"]);
    says(truth.argmax_all(), &["argmax", "bool"]);
    says(truth.topk(1, 0, true), &["topk", "bool"]);
    says(whole.matmul(&x), &["matmul", "i32"]);
    says(x.where_(&x, &x), &["where", "f32"]);
    says(x.gather(0, &x), &["gather", "i32", "f32"]);
    says(whole.softmax(0), &["softmax", "i32"]);
    says(x.to_vec::<i32>(), &["to_vec", "i32", "f32"]);
    says(whole.cross_entropy(&whole, &CrossEntropyOptions::default()), &["cross_entropy", "i32"]);
    says(x.cross_entropy(&truth, &CrossEntropyOptions::default()), &["cross_entropy"]);
    let images = Tensor::full(x.device(), &[1, 1, 4, 4], 1i32).unwrap();
    says(images.max_pool2d([2, 2], &MaxPool2dOptions::default()), &["max_pool2d", "i32"]);
    says(images.conv2d(&images, None, &Conv2dOptions::default()), &["conv2d", "i32"]);
}

#[test]
fn numbers_that_make_no_tensor() {
    for device in devices() {
        let arange = |start, end, step, dtype| Tensor::arange(&device, start, end, step, dtype);
        says(arange(0.0, 1.0, 0.0, DType::F32), &["arange", "must not be 0"]);
        says(arange(0.0, 1.0, 0.5, DType::I32), &["arange", "must not be 0"]);
        says(arange(0.0, 1.0, -1.0, DType::F32), &["arange", "away"]);
        says(arange(0.0, f64::INFINITY, 1.0, DType::F32), &["arange", "finite"]);
        says(arange(0.0, 1e30, 1e-30, DType::F32), &["4294967295"]);
        says(arange(0.0, 3e9, 1e9, DType::I32), &["arange", "i32"]);
        says(arange(0.0, 1.0, 1.0, DType::Bool), &["arange", "bool"]);
        says(Tensor::linspace(&device, 0.0, 1.0, usize::MAX), &["4294967295"]);
        says(Tensor::eye(&device, usize::MAX, 2), &["4294967295"]);
        says(Tensor::randint(&device, 3, 3, &[2]), &["randint", "3"]);
        says(Tensor::randperm(&device, 1 << 31), &["randperm", "2147483648"]);
        let x = Tensor::ones(&device, &[2, 3]).unwrap();
        says(x.bernoulli_p(1.5), &["bernoulli", "1.5"]);
        says(x.repeat(&[2]), &["repeat", "[2, 3]"]);
        says(x.repeat(&[usize::MAX, 2]), &["4294967295"]);
        says(x.repeat(&[1; 7]), &["7", "6"]);
        says(x.view(&[4]), &["view", "[2, 3]"]);
        says(x.t().unwrap().view(&[6]), &["view", "strides", "reshape"]);
        says(x.reshape(&[isize::MAX, isize::MAX]), &["reshape"]);
        says(x.unflatten(1, &[2, -1]), &["unflatten", "[2, 3]"]);
        says(x.narrow(0, usize::MAX, 2), &["narrow"]);
        assert_eq!(x.slice(0, 0, isize::MAX, usize::MAX).unwrap().shape()[..], [1, 3]);
        says(x.diagonal(0, 1, -1), &["diagonal", "twice"]);
        says(x.sum_all().unwrap().diag(0), &["diag", "[]"]);
        says(x.sum(0).unwrap().diag(isize::MIN), &["4294967295"]);
        says(x.sum(0).unwrap().tril(0), &["tril", "[3]"]);
        let whole = x.to_dtype(DType::I32).unwrap();
        says(whole.fmod_scalar(0.0), &["fmod", "0"]);
        says(whole.pow_scalar(-1.0), &["pow", "-1"]);
        says(whole.narrow(0, 0, 0).unwrap().one_hot(None), &["one_hot", "[0, 3]"]);
    }
}

#[test]
fn seven_dimensions() {
    let device = Device::reference();
    let error = Tensor::ones(&device, &[1; 7]).unwrap_err();
    assert!(matches!(error, Error::TooManyDimensions { rank: 7, limit: 6 }), "{error}");
    let x = Tensor::ones(&device, &[1; 6]).unwrap();
    says(x.unsqueeze(0), &["6", "7"]);
    says(x.reshape(&[1; 7]), &["6", "7"]);
    says(x.expand(&[2, 1, 1, 1, 1, 1, 1]), &["6", "7"]);
    assert_eq!(x.sum([0, 2, 4]).unwrap().shape().len(), 3);
}

#[test]
fn nothing_to_choose_from() {
    for device in devices() {
        let x = Tensor::ones(&device, &[3, 0]).unwrap();
        says(x.amax(1), &["amax", "[3, 0]"]);
        says(x.argmin(1), &["argmin", "[3, 0]"]);
        says(x.max(1), &["[3, 0]"]);
        says(x.clamp(None, None), &["clamp", "min", "max"]);
        assert!(
            Tensor::ones(&device, &[1, 2, 0, 4]).unwrap().max_pool2d([2, 2], &MaxPool2dOptions::default()).is_err()
        );
    }
}

#[test]
fn empty_batches_and_sizes_of_one_work() {
    for device in devices() {
        let run = |batch: usize| -> Result<()> {
            let x = Tensor::ones(&device, &[batch, 1, 4, 4])?.requires_grad();
            let weight = Tensor::ones(&device, &[2, 1, 3, 3])?.requires_grad();
            let bias = Tensor::ones(&device, &[2])?.requires_grad();
            let y = x.conv2d(&weight, Some(&bias), &Conv2dOptions::default())?;
            assert_eq!(y.shape()[..], [batch, 2, 2, 2]);
            let y = y.max_pool2d([2, 2], &MaxPool2dOptions::default())?.relu()?.reshape(&[batch as isize, 2])?;
            let y = y.matmul(&Tensor::ones(&device, &[2, 3])?)?.log_softmax(1)?;
            let labels = Tensor::full(&device, &[batch], 2i32)?;
            let options = CrossEntropyOptions::default().reduction(Reduction::Sum);
            let loss = y.cross_entropy(&labels, &options)?;
            loss.backward()?;
            assert_eq!(x.grad().unwrap().shape(), x.shape());
            assert_eq!(x.grad().unwrap().to_vec::<f32>()?.len(), 16 * batch);
            let total: f32 = weight.grad().unwrap().to_vec::<f32>()?.iter().map(|v| v.abs()).sum();
            assert!(total < 1e-5, "all classes are alike, so nothing is to learn: {total}");
            assert_eq!(bias.grad().unwrap().to_vec::<f32>()?.len(), 2);
            approx::assert_relative_eq!(loss.item::<f32>()?, batch as f32 * 3f32.ln(), max_relative = 1e-5);
            Ok(())
        };
        for batch in [0, 1, 2] {
            run(batch).unwrap_or_else(|error| panic!("batch of {batch} on {}: {error}", device.name()));
        }
        let empty = Tensor::ones(&device, &[0, 3]).unwrap();
        assert_eq!(empty.exp().unwrap().to_vec::<f32>().unwrap(), Vec::<f32>::new());
        assert_eq!(empty.sum_all().unwrap().item::<f32>().unwrap(), 0.0);
        assert_eq!(empty.sum(0).unwrap().to_vec::<f32>().unwrap(), [0.0; 3]);
        assert!(empty.mean_all().unwrap().item::<f32>().unwrap().is_nan());
        assert_eq!(empty.softmax(1).unwrap().shape()[..], [0, 3]);
        assert_eq!(empty.amax(1).unwrap().to_vec::<f32>().unwrap(), Vec::<f32>::new());
        assert_eq!(empty.t().unwrap().matmul(&empty).unwrap().to_vec::<f32>().unwrap(), [0.0; 9]);
        assert_eq!(empty.add(&Tensor::ones(&device, &[1, 3]).unwrap()).unwrap().shape()[..], [0, 3]);
        assert_eq!(Tensor::rand(&device, &[0]).unwrap().to_vec::<f32>().unwrap(), Vec::<f32>::new());
        let one = Tensor::ones(&device, &[1, 1, 1]).unwrap();
        assert_eq!(one.softmax(1).unwrap().to_vec::<f32>().unwrap(), [1.0]);
        assert_eq!(one.transpose(0, 2).unwrap().matmul(&one).unwrap().to_vec::<f32>().unwrap(), [1.0]);
        let scalar = Tensor::scalar(&device, 3.0f32).unwrap();
        assert_eq!(scalar.sum_keepdim(0).unwrap().item::<f32>().unwrap(), 3.0);
    }
}

#[test]
fn losses_that_do_not_fit() {
    let x = ones(&[4, 5]);
    let labels = |shape: &[usize]| Tensor::full(x.device(), shape, 0i32).unwrap();
    let plain = CrossEntropyOptions::default;
    says(x.cross_entropy(&labels(&[3]), &plain()), &["cross_entropy", "[4, 5]", "[3]"]);
    says(x.cross_entropy(&with(&x, &[4, 4]), &plain()), &["cross_entropy", "[4, 5]", "[4, 4]"]);
    let weighted = CrossEntropyOptions { weight: Some(with(&x, &[4])), ..plain() };
    says(x.cross_entropy(&labels(&[4]), &weighted), &["cross_entropy", "weight", "[4]", "[5]"]);
    let smooth = CrossEntropyOptions { label_smoothing: 1.5, ..plain() };
    says(x.cross_entropy(&labels(&[4]), &smooth), &["cross_entropy", "1.5"]);
}

#[test]
fn gradients_that_cannot_be() {
    let device = Device::reference();
    let x = Tensor::ones(&device, &[2]).unwrap().requires_grad();
    let y = x.exp().unwrap();
    let one = Tensor::ones(&device, &[3]).unwrap();
    says(grad(&[&y], &[&x], &[&one]), &["grad", "[3]", "[2]"]);
    says(grad(&[&y], &[&x], &[]), &["grad", "1 outputs", "0"]);
    says(Tensor::ones(&device, &[1]).unwrap().backward(), &["backward", "does not require a gradient"]);
    says(y.backward(), &["backward", "[2]"]);
}

#[test]
fn operators_give_the_error_of_their_method() {
    let x = ones(&[2]);
    let y = with(&x, &[3]);
    says(&x + &y, &["add", "[2]", "[3]"]);
    says(&x - &y, &["sub", "[2]", "[3]"]);
    says(&x * &y, &["mul", "[2]", "[3]"]);
    says(&x / &y, &["div", "[2]", "[3]"]);
    // The first error of a formula is the formula's.
    says(&x + (&x * &y - &x), &["mul", "[2]", "[3]"]);
    says(-x.gt_scalar(0.0).unwrap(), &["neg", "bool"]);
}

//! The vocabulary of random programs: expressions over the tensors that a program has so far.
//!
//! A row's text is printed into the program that failed, so it must stand alone: `x`, `y` and `z` are tensors, `a` and
//! `b` small numbers that a program draws. Results stay small (32 values at most a row's growth, magnitudes near 1),
//! and arguments stay away from poles.

use wgrad::{
    AttentionOptions, AvgPool1dOptions, AvgPool2dOptions, BatchNormOptions, Conv1dOptions, Conv2dOptions,
    ConvTranspose2dOptions, CrossEntropyOptions, DType, InterpolateMode, InterpolateOptions, MaxPool1dOptions,
    MaxPool2dOptions, PadMode, Padding, Reduction, Result, Tensor, UnfoldOptions,
};

/// One expression.
pub struct Row {
    /// The names of its tensors.
    pub operands: &'static [&'static str],
    /// True if it takes these tensors and numbers.
    pub fits: fn(&[&Tensor], usize, usize) -> bool,
    pub run: fn(&[&Tensor], usize, usize) -> Result<Tensor>,
    /// Its Rust text.
    pub code: &'static str,
}

macro_rules! rows {
    ($($a:ident, $b:ident: $([$($operand:ident),+] if $fits:expr => $body:expr;)*)*) => {
        &[$($(Row {
            operands: &[$(stringify!($operand)),+],
            fits: |operands, $a, $b| {
                let &[$($operand),+] = operands else { return false };
                let _ = ($a, $b, $($operand),+);
                $fits
            },
            run: |operands, $a, $b| {
                let &[$($operand),+] = operands else { panic!("other tensors than those that fit") };
                let _ = ($a, $b);
                $body
            },
            code: stringify!($body),
        }),*),*]
    };
}

/// The size of dimension `d`, counted from the end.
fn last(x: &Tensor, d: usize) -> usize {
    x.shape()[x.rank() - d]
}

/// A dimension drawn by `a`.
pub fn dim(x: &Tensor, a: usize) -> isize {
    (a % x.rank()) as isize
}

fn broadcasts(x: &Tensor, y: &Tensor) -> bool {
    x.shape().iter().rev().zip(y.shape().iter().rev()).all(|(a, b)| a == b || *a == 1 || *b == 1)
        && x.numel().max(y.numel()) * 8 <= 4096
}

fn image(x: &Tensor) -> bool {
    x.rank() == 4
}

pub const ROWS: &[Row] = rows! { a, b:
    // Pointwise.
    [x] if true => x.relu();
    [x] if true => x.neg();
    [x] if true => x.abs();
    [x] if true => x.tanh();
    [x] if true => x.sigmoid();
    [x] if true => x.sin();
    [x] if true => x.cos();
    [x] if true => x.erf();
    [x] if true => x.atan();
    [x] if true => x.gelu();
    [x] if true => x.gelu_tanh();
    [x] if true => x.silu();
    [x] if true => x.mish();
    [x] if true => x.softsign();
    [x] if true => x.softplus(1.0, 20.0);
    [x] if true => x.logsigmoid();
    [x] if true => x.elu(1.0);
    [x] if true => x.selu();
    [x] if true => x.celu(0.7);
    [x] if true => x.leaky_relu(0.1);
    [x] if true => x.relu6();
    [x] if true => x.hardtanh(-1.5, 0.75);
    [x] if true => x.hardsigmoid();
    [x] if true => x.hardswish();
    [x] if true => x.tanhshrink();
    [x] if true => x.softshrink(0.3);
    [x] if true => x.clamp(Some(-1.0), Some(1.25));
    [x] if true => x.tanh()?.square();
    [x] if true => x.tanh()?.exp();
    [x] if true => x.tanh()?.expm1();
    [x] if true => x.abs()?.add_scalar(0.5)?.log();
    [x] if true => x.abs()?.log1p();
    [x] if true => x.square()?.add_scalar(0.25)?.sqrt();
    [x] if true => x.square()?.add_scalar(0.5)?.rsqrt();
    [x] if true => x.abs()?.add_scalar(1.0)?.reciprocal();
    [x] if true => x.abs()?.add_scalar(0.5)?.pow_scalar(1.5)?.mul_scalar(0.25);
    [x] if true => x.mul_scalar(a as f32 / 16.0 - 0.5);
    [x] if true => x.add_scalar(b as f32 / 16.0 - 0.5);
    [x] if true => x.mul_scalar(0.5)?.sub_scalar(0.25);
    [x] if true => Ok(x.detach());
    // Past the largest number of f16, and their count.
    [x] if true => x.mul_scalar(512.0)?.mul_scalar(256.0)?.isinf()?.where_(&x.neg()?, x);
    [x] if true => x.add_scalar(300.0)?.square()?.isfinite()?.to_dtype(x.dtype())?.mul(x);
    [x] if true => x.contiguous();
    // Pointwise, with broadcasting.
    [x, y] if broadcasts(x, y) => x.add(y);
    [x, y] if broadcasts(x, y) => x.sub(y);
    [x, y] if broadcasts(x, y) => x.tanh()?.mul(y);
    [x, y] if broadcasts(x, y) => x.div(&y.abs()?.add_scalar(1.0)?);
    [x, y] if broadcasts(x, y) => x.maximum(y);
    [x, y] if broadcasts(x, y) => x.minimum(y);
    [x, y] if broadcasts(x, y) => x.atan2(&y.square()?.add_scalar(0.5)?);
    [x, y] if broadcasts(x, y) => x.gt(y)?.where_(x, &y.mul_scalar(0.5)?);
    [x, y] if broadcasts(x, y) => x.le(y)?.logical_not()?.to_dtype(DType::F32)?.mul(x);
    [x, y, z] if broadcasts(x, y) && broadcasts(x, z) && broadcasts(y, z) => x.lt(y)?.where_(y, z);
    [x, y, z] if broadcasts(x, y) && broadcasts(x, z) && broadcasts(y, z) => x.tanh()?.mul(y)?.add(z);
    // Shapes.
    [x] if x.rank() > 1 => x.transpose(dim(x, a), dim(x, b));
    [x] if x.rank() > 1 => x.flatten(0, dim(x, a).max(1));
    [x] if true => x.reshape(&[-1]);
    [x] if x.rank() > 1 => x.reshape(&[x.shape()[0] as isize, -1]);
    [x] if x.rank() > 0 && x.numel().is_multiple_of(4) => x.reshape(&[1, 2, 2, -1]);
    [x] if x.rank() > 0 && x.rank() < 5 => x.unsqueeze(dim(x, a));
    [x] if x.rank() > 0 && x.shape()[dim(x, a) as usize] == 1 => x.squeeze(dim(x, a));
    [x] if x.rank() > 0 && x.shape()[dim(x, a) as usize] > 1 =>
        x.narrow(dim(x, a), 1, x.shape()[dim(x, a) as usize] - 1);
    [x] if x.rank() > 0 && x.shape()[dim(x, a) as usize] > 1 =>
        x.slice(dim(x, a), (b % 2) as isize, x.shape()[dim(x, a) as usize] as isize, 2);
    [x] if x.rank() > 0 => x.flip(dim(x, a));
    [x] if x.rank() > 0 => x.roll(&[b as isize - 4], &[dim(x, a)]);
    [x] if x.rank() < 4 && x.numel() <= 256 => x.unsqueeze(0)?.expand(&[&[2], &vec![-1; x.rank()][..]].concat());
    [x] if x.rank() > 0 && x.numel() <= 256 => x.pad(&[(a % 3) as isize, (b % 2) as isize], PadMode::Constant(0.5));
    [x] if x.rank() > 1 && x.rank() < 4 && last(x, 1) > 1 && x.numel() <= 256 => x.pad(&[1, 1], PadMode::Reflect);
    [x] if x.rank() > 1 && x.rank() < 4 && x.numel() <= 256 => x.pad(&[1, 2], PadMode::Replicate);
    [x] if image(x) && last(x, 1) > 1 && last(x, 2) > 1 && x.numel() <= 256 => x.pad(&[1, 1, 1, 1], PadMode::Circular);
    [x] if image(x) && x.shape()[1].is_multiple_of(4) => x.pixel_shuffle(2);
    [x] if image(x) && x.shape()[1].is_multiple_of(2) => x.channel_shuffle(2);
    [x, y] if x.rank() == 2 && y.rank() == 2 && last(x, 1) == last(y, 1) && x.numel() + y.numel() <= 512 => Tensor::cat(&[x, y], 0);
    [x, y] if x.shape() == y.shape() && x.rank() < 4 && x.numel() <= 256 => Tensor::stack(&[x, y], -1);
    [x] if x.rank() > 0 && x.shape()[dim(x, a) as usize] > 1 => Ok(x.chunk(2, dim(x, a))?.swap_remove(1));
    [x, y] if x.shape() == y.shape() => x.lerp(y, 0.25);
    [x, y] if broadcasts(x, y) => x.tanh()?.addcmul(&x.sin()?, y, 0.5);
    [x, y] if broadcasts(x, y) => x.masked_fill(&y.gt_scalar(0.25)?, 0.125);
    [x] if x.rank() > 1 => x.tril((a % 3) as isize - 1);
    [x] if x.rank() > 1 => x.triu((a % 3) as isize - 1);
    [x] if x.rank() == 1 && x.numel() <= 16 => x.diag(a as isize % 2);
    [x] if x.rank() == 2 => x.diagonal(0, 0, 1);
    [x] if x.rank() > 0 && x.rank() < 4 && x.numel() <= 256 => x.repeat(&[&[2], &vec![1; x.rank() - 1][..]].concat());
    // Reductions.
    [x] if true => x.mean_all();
    [x] if true => x.sum_all()?.div_scalar(x.numel() as f32);
    [x] if x.rank() > 0 => x.mul_scalar(4096.0)?.mul_scalar(4.0)?.sum_keepdim(dim(x, a))?.isinf()?.to_dtype(x.dtype())?.add(x);
    [x] if x.rank() > 0 => if b % 2 == 0 { x.mean_keepdim(dim(x, a)) } else { x.mean(dim(x, a)) };
    [x] if x.rank() > 0 => if b % 2 == 0 { x.sum_keepdim(dim(x, a)) } else { x.sum(dim(x, a)) }?.mul_scalar(0.25);
    [x] if x.rank() > 2 => if b % 2 == 0 { x.mean_keepdim([0, 2]) } else { x.mean([0, 2]) };
    [x] if x.rank() > 0 => if b % 2 == 0 { x.amax_keepdim(dim(x, a)) } else { x.amax(dim(x, a)) };
    [x] if x.rank() > 0 => if b % 2 == 0 { x.amin_keepdim(dim(x, a)) } else { x.amin(dim(x, a)) };
    [x] if x.rank() > 0 => Ok(if b % 2 == 0 { x.max_keepdim(dim(x, a)) } else { x.max(dim(x, a)) }?.0);
    [x] if x.rank() > 0 => if b % 2 == 0 { x.var_keepdim(dim(x, a), 0.0) } else { x.var(dim(x, a), 0.0) };
    [x] if x.rank() > 0 => {
        let x = x.square()?.add_scalar(0.25)?;
        if b % 2 == 0 { x.norm_keepdim(2.0, dim(&x, a)) } else { x.norm(2.0, dim(&x, a)) }
    };
    [x] if x.rank() > 0 => if b % 2 == 0 { x.logsumexp_keepdim(dim(x, a)) } else { x.logsumexp(dim(x, a)) };
    [x] if x.rank() > 0 => {
        let x = x.tanh()?.mul_scalar(0.25)?.add_scalar(1.0)?;
        if b % 2 == 0 { x.prod_keepdim(dim(&x, a)) } else { x.prod(dim(&x, a)) }
    };
    [x] if x.rank() > 0 => x.cumsum(dim(x, a))?.mul_scalar(0.25);
    [x] if x.rank() > 0 => x.tanh()?.mul_scalar(0.25)?.add_scalar(1.0)?.cumprod(dim(x, a));
    [x] if x.rank() > 0 => Ok(x.sort(dim(x, a), b % 2 == 0)?.0);
    [x] if x.rank() > 0 => Ok(x.topk(x.shape()[dim(x, a) as usize].div_ceil(2), dim(x, a), b % 2 == 0)?.0);
    [x] if x.rank() > 0 => x.softmax(dim(x, a));
    [x] if x.rank() > 0 => x.softmin(dim(x, a));
    [x] if x.rank() > 0 => x.log_softmax(dim(x, a))?.mul_scalar(0.5);
    [x] if x.rank() > 0 => x.gather(dim(x, a), &x.argmax_keepdim(dim(x, a))?);
    [x] if x.rank() > 0 => x.index_select(dim(x, a), &x.detach().argmax(dim(x, a))?.flatten(0, -1)?.narrow(0, 0, 1)?);
    [x, y] if x.rank() > 0 && x.shape() == y.shape() =>
        x.scatter_add(dim(x, a), &y.detach().argsort(dim(x, a), false)?.mul_scalar(0.5)?.floor()?.to_dtype(DType::I32)?, y);
    [x] if x.rank() == 2 => x.to_dtype(DType::F32)?.cross_entropy(&x.detach().argmin(1)?, &CrossEntropyOptions::default());
    [x, y] if x.shape() == y.shape() => x.mse_loss(y, Reduction::Mean);
    [x, y] if x.shape() == y.shape() => x.smooth_l1_loss(y, 1.0, Reduction::None);
    // Normalizations.
    [x] if x.rank() > 0 && last(x, 1) > 1 => x.layer_norm(&[last(x, 1)], None, None, 0.1);
    [x] if image(x) && x.shape()[1].is_multiple_of(2) => x.group_norm(2, None, None, 0.1);
    [x] if x.rank() > 2 && x.numel() > x.shape()[1] =>
        x.batch_norm(None, None, None, None, &BatchNormOptions::default().training(true).eps(0.1));
    [x] if x.rank() > 0 && last(x, 1) > 1 => x.rms_norm(&[last(x, 1)], None, Some(0.1));
    [x] if x.rank() > 1 => x.square()?.add_scalar(0.25)?.normalize(2.0, dim(x, a), 1e-6);
    [x] if image(x) => x.local_response_norm(2, 0.1, 0.75, 1.0);
    // Products.
    [x, y] if x.rank() == 2 && y.rank() == 2 && last(x, 1) == last(y, 2) => x.matmul(y)?.mul_scalar(0.5);
    [x, y] if x.rank() == 3 && y.rank() == 2 && last(x, 1) == last(y, 2) => x.matmul(y)?.mul_scalar(0.5);
    [x] if x.rank() > 1 && x.rank() < 4 && last(x, 2) <= 16 => x.matmul(&x.transpose(-1, -2)?)?.mul_scalar(0.25);
    [x, y] if x.rank() > 0 && y.rank() == 2 && last(x, 1) == last(y, 1) => x.linear(y, None)?.mul_scalar(0.5);
    [x, y] if x.rank() == 1 && y.rank() == 1 && x.numel() * y.numel() <= 256 => x.outer(y);
    [x, y] if x.rank() == 3 && y.rank() == 3 && x.shape()[..2] == y.shape()[..2] =>
        Tensor::einsum("bik,bij->bkj", &[x, y])?.mul_scalar(0.25);
    [x] if x.rank() == 3 => x.tanh()?.scaled_dot_product_attention(x, x, &AttentionOptions::default());
    // Convolutions and pools.
    [x, w] if image(x) && image(w) && x.shape()[1] == w.shape()[1] && last(x, 1) >= last(w, 1) && last(x, 2) >= last(w, 2)
        && w.numel() <= 128 => x.conv2d(w, None, &Conv2dOptions::default())?.mul_scalar(0.5);
    [x, w] if image(x) && image(w) && x.shape()[1] == w.shape()[1] && w.numel() <= 128 && x.numel() <= 256 =>
        x.conv2d(w, None, &Conv2dOptions::default().padding(Padding::Same))?.mul_scalar(0.5);
    [x, w] if image(x) && image(w) && x.shape()[1] == w.shape()[0] && w.numel() <= 128 && x.numel() <= 128 =>
        x.conv_transpose2d(w, None, &ConvTranspose2dOptions::default().stride([2, 1]))?
            .mul_scalar(0.5);
    [x] if image(x) && last(x, 1) > 1 && last(x, 2) > 1 => x.max_pool2d([2, 2], &MaxPool2dOptions::default());
    [x] if image(x) && last(x, 1) > 1 && last(x, 2) > 1 =>
        x.avg_pool2d([2, 2], &AvgPool2dOptions::default().stride(1).padding([1, 0]));
    [x, w] if x.rank() == 3 && w.rank() == 3 && x.shape()[1] == w.shape()[1] && last(x, 1) >= last(w, 1) =>
        x.conv1d(w, None, &Conv1dOptions::default())?.mul_scalar(0.25);
    [x] if x.rank() == 3 && last(x, 1) > 1 => x.max_pool1d([2], &MaxPool1dOptions::default());
    [x] if x.rank() == 3 && last(x, 1) > 1 => x.avg_pool1d([2], &AvgPool1dOptions::default());
    [x] if image(x) => x.adaptive_avg_pool2d([Some(2), None]);
    [x] if image(x) => x.adaptive_max_pool2d([None, Some(2)]);
    [x] if image(x) && last(x, 1) > 1 && last(x, 2) > 1 && x.numel() <= 256 =>
        x.unfold([2, 2], &UnfoldOptions::default());
    [x] if image(x) && x.numel() <= 256 =>
        x.interpolate(&InterpolateOptions::default().size([3, 4]).mode(InterpolateMode::Bilinear));
    [x] if image(x) && x.numel() <= 256 =>
        x.interpolate(&InterpolateOptions::default().scale_factor([2.0, 1.0]).mode(InterpolateMode::Nearest));
};

//! Pooling.

use super::{Call, Operation, Refusal, Results};
use serde_json::Value;
use wgrad::{AvgPoolOptions, LpPoolOptions, MaxPoolOptions, MaxUnpoolOptions, Tensor};

const MAX: &[&str] = &["kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"];
const AVERAGE: &[&str] = &["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"];
const POWER: &[&str] = &["norm_type", "kernel_size", "stride", "ceil_mode"];
const ADAPTIVE_MAX: &[&str] = &["output_size", "return_indices"];
const UNPOOL: &[&str] = &["kernel_size", "stride", "padding", "output_size"];

const fn row(
    names: &'static [&'static str],
    attributes: &'static [&'static str],
    run: fn(&Call) -> Results,
) -> Operation {
    Operation { names, tensors: &["input"], attributes, run }
}

const fn unpool(names: &'static [&'static str], run: fn(&Call) -> Results) -> Operation {
    Operation { names, tensors: &["input", "indices"], attributes: UNPOOL, run }
}

pub(super) const OPERATIONS: &[Operation] = &[
    row(&["max_pool1d"], MAX, |c| max(c, Tensor::max_pool1d_with_indices)),
    row(&["max_pool2d"], MAX, |c| max(c, Tensor::max_pool2d_with_indices)),
    row(&["max_pool3d"], MAX, |c| max(c, Tensor::max_pool3d_with_indices)),
    row(&["avg_pool1d"], AVERAGE, |c| average(c, Tensor::avg_pool1d)),
    row(&["avg_pool2d"], AVERAGE, |c| average(c, Tensor::avg_pool2d)),
    row(&["avg_pool3d"], AVERAGE, |c| average(c, Tensor::avg_pool3d)),
    row(&["lp_pool1d"], POWER, |c| power(c, Tensor::lp_pool1d)),
    row(&["lp_pool2d"], POWER, |c| power(c, Tensor::lp_pool2d)),
    row(&["lp_pool3d"], POWER, |c| power(c, Tensor::lp_pool3d)),
    row(&["adaptive_avg_pool1d"], &["output_size"], |c| adaptive_average(c, Tensor::adaptive_avg_pool1d)),
    row(&["adaptive_avg_pool2d"], &["output_size"], |c| adaptive_average(c, Tensor::adaptive_avg_pool2d)),
    row(&["adaptive_avg_pool3d"], &["output_size"], |c| adaptive_average(c, Tensor::adaptive_avg_pool3d)),
    row(&["adaptive_max_pool1d"], ADAPTIVE_MAX, |c| adaptive_max(c, Tensor::adaptive_max_pool1d_with_indices)),
    row(&["adaptive_max_pool2d"], ADAPTIVE_MAX, |c| adaptive_max(c, Tensor::adaptive_max_pool2d_with_indices)),
    row(&["adaptive_max_pool3d"], ADAPTIVE_MAX, |c| adaptive_max(c, Tensor::adaptive_max_pool3d_with_indices)),
    row(&["global_avg_pool"], &[], |c| Ok(vec![c.tensor("input")?.global_avg_pool()?])),
    row(&["global_max_pool"], &[], |c| Ok(vec![c.tensor("input")?.global_max_pool()?])),
    unpool(&["max_unpool1d"], |c| back(c, Tensor::max_unpool1d)),
    unpool(&["max_unpool2d"], |c| back(c, Tensor::max_unpool2d)),
    unpool(&["max_unpool3d"], |c| back(c, Tensor::max_unpool3d)),
];

/// Values and indices.
type Both = wgrad::Result<(Tensor, Tensor)>;

/// One size a dimension; one number means all.
fn sizes<const D: usize>(call: &Call, name: &str) -> Result<Option<[usize; D]>, Refusal> {
    let Some(given) = call.integers(name)?.filter(|list| !list.is_empty()) else { return Ok(None) };
    let size = |v: i64| usize::try_from(v).map_err(|_| call.wrong(name));
    let given = given.into_iter().map(size).collect::<Result<Vec<_>, _>>()?;
    let all = if let [one] = given[..] { vec![one; D] } else { given };
    all.try_into().map(Some).map_err(|_| call.wrong(name))
}

fn window<const D: usize>(call: &Call) -> Result<[usize; D], Refusal> {
    sizes(call, "kernel_size")?.ok_or_else(|| call.wrong("kernel_size"))
}

fn max<const D: usize>(call: &Call, pool: fn(&Tensor, [usize; D], &MaxPoolOptions<D>) -> Both) -> Results {
    let options = MaxPoolOptions {
        stride: sizes(call, "stride")?,
        padding: sizes(call, "padding")?.unwrap_or([0; D]),
        dilation: sizes(call, "dilation")?.unwrap_or([1; D]),
        ceil_mode: call.flag("ceil_mode", false)?,
    };
    with_indices(call, pool(call.tensor("input")?, window(call)?, &options)?)
}

fn with_indices(call: &Call, (values, indices): (Tensor, Tensor)) -> Results {
    Ok(if call.flag("return_indices", false)? { vec![values, indices] } else { vec![values] })
}

fn average<const D: usize>(
    call: &Call,
    pool: fn(&Tensor, [usize; D], &AvgPoolOptions<D>) -> wgrad::Result<Tensor>,
) -> Results {
    let options = AvgPoolOptions {
        stride: sizes(call, "stride")?,
        padding: sizes(call, "padding")?.unwrap_or([0; D]),
        ceil_mode: call.flag("ceil_mode", false)?,
        count_include_pad: call.flag("count_include_pad", true)?,
        divisor_override: call.integers("divisor_override")?.map(|v| v[0]),
    };
    Ok(vec![pool(call.tensor("input")?, window(call)?, &options)?])
}

fn power<const D: usize>(
    call: &Call,
    pool: fn(&Tensor, f64, [usize; D], &LpPoolOptions<D>) -> wgrad::Result<Tensor>,
) -> Results {
    let options = LpPoolOptions { stride: sizes(call, "stride")?, ceil_mode: call.flag("ceil_mode", false)? };
    // JSON has no infinities.
    let norm_type = match call.attr("norm_type").and_then(Value::as_str) {
        Some(text) => text.parse().map_err(|_| call.wrong("norm_type"))?,
        None => call.number("norm_type")?.ok_or_else(|| call.wrong("norm_type"))?,
    };
    Ok(vec![pool(call.tensor("input")?, norm_type, window(call)?, &options)?])
}

/// Sizes that may be null.
fn output_size<const D: usize>(call: &Call) -> Result<[Option<usize>; D], Refusal> {
    let wrong = || call.wrong("output_size");
    let size = |value: &Value| match value {
        Value::Null => Ok(None),
        value => value.as_u64().map(|v| Some(v as usize)).ok_or_else(wrong),
    };
    let given = match call.attr("output_size").ok_or_else(wrong)? {
        Value::Array(values) => values.iter().map(size).collect::<Result<Vec<_>, _>>()?,
        one => vec![size(one)?; D],
    };
    given.try_into().map_err(|_| wrong())
}

fn adaptive_average<const D: usize>(
    call: &Call,
    pool: fn(&Tensor, [Option<usize>; D]) -> wgrad::Result<Tensor>,
) -> Results {
    Ok(vec![pool(call.tensor("input")?, output_size(call)?)?])
}

fn adaptive_max<const D: usize>(call: &Call, pool: fn(&Tensor, [Option<usize>; D]) -> Both) -> Results {
    with_indices(call, pool(call.tensor("input")?, output_size(call)?)?)
}

fn back<const D: usize>(
    call: &Call,
    unpool: fn(&Tensor, &Tensor, [usize; D], &MaxUnpoolOptions<D>) -> wgrad::Result<Tensor>,
) -> Results {
    // The batch and the channels may be given too.
    let given = call.integers("output_size")?.map(|all| if all.len() == D + 2 { all[2..].to_vec() } else { all });
    let wrong = || call.wrong("output_size");
    let size = |v: i64| usize::try_from(v).map_err(|_| wrong());
    let output_size = given.map(|all| all.into_iter().map(size).collect::<Result<Vec<_>, _>>()).transpose()?;
    let options = MaxUnpoolOptions {
        stride: sizes(call, "stride")?,
        padding: sizes(call, "padding")?.unwrap_or([0; D]),
        output_size: output_size.map(|all| all.try_into().map_err(|_| wrong())).transpose()?,
    };
    Ok(vec![unpool(call.tensor("input")?, call.tensor("indices")?, window(call)?, &options)?])
}

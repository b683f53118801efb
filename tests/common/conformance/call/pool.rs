//! Pooling.

use super::{Call, Operation, Results};
use wgrad::{AvgPool2dOptions, MaxPool2dOptions};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        names: &["max_pool2d"],
        tensors: &["input"],
        attributes: &["kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"],
        run: max_pool2d,
    },
    Operation {
        names: &["avg_pool2d"],
        tensors: &["input"],
        attributes: &["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"],
        run: avg_pool2d,
    },
];

fn max_pool2d(call: &Call) -> Results {
    let kernel_size = call.pair("kernel_size")?.ok_or_else(|| call.wrong("kernel_size"))?;
    let options = MaxPool2dOptions {
        stride: call.pair("stride")?,
        padding: call.pair("padding")?.unwrap_or([0, 0]),
        dilation: call.pair("dilation")?.unwrap_or([1, 1]),
        ceil_mode: call.flag("ceil_mode", false)?,
    };
    let x = call.tensor("input")?;
    if call.flag("return_indices", false)? {
        let (values, indices) = x.max_pool2d_with_indices(kernel_size, &options)?;
        return Ok(vec![values, indices]);
    }
    Ok(vec![x.max_pool2d(kernel_size, &options)?])
}

fn avg_pool2d(call: &Call) -> Results {
    let kernel_size = call.pair("kernel_size")?.ok_or_else(|| call.wrong("kernel_size"))?;
    let options = AvgPool2dOptions {
        stride: call.pair("stride")?,
        padding: call.pair("padding")?.unwrap_or([0, 0]),
        ceil_mode: call.flag("ceil_mode", false)?,
        count_include_pad: call.flag("count_include_pad", true)?,
        divisor_override: call.integers("divisor_override")?.map(|v| v[0]),
    };
    Ok(vec![call.tensor("input")?.avg_pool2d(kernel_size, &options)?])
}

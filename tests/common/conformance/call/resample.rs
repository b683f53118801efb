//! Interpolation and sampling.

use super::{Call, Operation, Refusal, Results};
use serde_json::Value;
use wgrad::{GridSampleMode, GridSampleOptions, GridSamplePadding, InterpolateMode, InterpolateOptions};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        names: &["interpolate", "upsample"],
        tensors: &["input"],
        attributes: &["size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias"],
        run: interpolate,
    },
    Operation {
        names: &["upsample_nearest", "upsample_bilinear"],
        tensors: &["input"],
        attributes: &["size", "scale_factor"],
        run: interpolate,
    },
    Operation {
        names: &["grid_sample"],
        tensors: &["input", "grid"],
        attributes: &["mode", "padding_mode", "align_corners"],
        run: grid_sample,
    },
    Operation {
        names: &["affine_grid"],
        tensors: &["theta"],
        attributes: &["size", "align_corners"],
        run: affine_grid,
    },
];

fn grid_sample(call: &Call) -> Results {
    let mode = match call.attr("mode").map_or(Some("bilinear"), Value::as_str) {
        Some("bilinear") => GridSampleMode::Bilinear,
        Some("nearest") => GridSampleMode::Nearest,
        Some("bicubic") => GridSampleMode::Bicubic,
        _ => return Err(call.wrong("mode")),
    };
    let padding_mode = match call.attr("padding_mode").map_or(Some("zeros"), Value::as_str) {
        Some("zeros") => GridSamplePadding::Zeros,
        Some("border") => GridSamplePadding::Border,
        Some("reflection") => GridSamplePadding::Reflection,
        _ => return Err(call.wrong("padding_mode")),
    };
    let options = GridSampleOptions { mode, padding_mode, align_corners: call.flag("align_corners", false)? };
    Ok(vec![call.tensor("input")?.grid_sample(call.tensor("grid")?, &options)?])
}

fn affine_grid(call: &Call) -> Results {
    Ok(vec![call.tensor("theta")?.affine_grid(&call.sizes("size")?, call.flag("align_corners", false)?)?])
}

/// Numbers, one for each of `count` dimensions: a single one means all.
fn numbers(call: &Call, name: &str, count: usize) -> Result<Option<Vec<f64>>, Refusal> {
    let list = match call.attr(name) {
        None => return Ok(None),
        Some(Value::Array(values)) => values.iter().map(Value::as_f64).collect(),
        Some(value) => value.as_f64().map(|value| vec![value; count]),
    };
    list.map(Some).ok_or_else(|| call.wrong(name))
}

fn interpolate(call: &Call) -> Results {
    let x = call.tensor("input")?;
    let spatial = x.rank().saturating_sub(2);
    let flag = |name: &str| call.attr(name).map(|_| call.flag(name, false)).transpose();
    let mode = match (call.op, call.attr("mode").map_or(Some("nearest"), Value::as_str)) {
        ("upsample_bilinear", _) => InterpolateMode::Bilinear,
        (_, Some("nearest")) => InterpolateMode::Nearest,
        (_, Some("nearest-exact")) => InterpolateMode::NearestExact,
        (_, Some("linear")) => InterpolateMode::Linear,
        (_, Some("bilinear")) => InterpolateMode::Bilinear,
        (_, Some("trilinear")) => InterpolateMode::Trilinear,
        (_, Some("bicubic")) => InterpolateMode::Bicubic,
        (_, Some("area")) => InterpolateMode::Area,
        (_, Some("lanczos")) => InterpolateMode::Lanczos,
        _ => return Err(call.wrong("mode")),
    };
    let whole = |v: f64| if v >= 0.0 && v.fract() == 0.0 { Ok(v as usize) } else { Err(call.wrong("size")) };
    let size = numbers(call, "size", spatial)?.map(|size| size.into_iter().map(whole).collect());
    let options = InterpolateOptions {
        size: size.transpose()?,
        scale_factor: numbers(call, "scale_factor", spatial)?,
        mode,
        align_corners: if call.op == "upsample_bilinear" { Some(true) } else { flag("align_corners")? },
        recompute_scale_factor: flag("recompute_scale_factor")?,
        antialias: call.flag("antialias", false)?,
    };
    Ok(vec![x.interpolate(&options)?])
}

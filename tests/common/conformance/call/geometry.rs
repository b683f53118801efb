//! Geometric transforms, by torchvision's names.

use super::{Call, Operation, Results};
use crate::conformance::Refusal;
use serde_json::Value;
use wgrad::Tensor;
use wgrad::transforms::functional::{
    self, AffineNumbers, Corners, ImageSize, InterpolationMode, PaddingMode, Region, ResizeOptions, RotateOptions,
    WarpOptions,
};

transforms! {
    "resize" () ["size", "interpolation", "max_size", "antialias"] |c, x| {
        Ok(vec![functional::resize(x, c.image_size()?, &c.resizing()?)?])
    };
    "crop" () ["top", "left", "height", "width"] |c, x| Ok(vec![functional::crop(x, &c.regions()?)?]);
    "center_crop" () ["output_size"] |c, x| Ok(vec![functional::center_crop(x, c.sides("output_size")?)?]);
    "resized_crop" () ["top", "left", "height", "width", "size", "interpolation", "antialias"] |c, x| {
        Ok(vec![functional::resized_crop(x, &c.regions()?, c.image_size()?, &c.resizing()?)?])
    };
    "pad" () ["padding", "fill", "padding_mode"] pad;
    "horizontal_flip" () [] |_, x| Ok(vec![functional::horizontal_flip(x)?]);
    "vertical_flip" () [] |_, x| Ok(vec![functional::vertical_flip(x)?]);
    "five_crop" () ["size"] |c, x| Ok(functional::five_crop(x, c.sides("size")?)?.into());
    "ten_crop" () ["size", "vertical_flip"] |c, x| {
        Ok(functional::ten_crop(x, c.sides("size")?, c.flag("vertical_flip", false)?)?.into())
    };
    "rotate" () ["angle", "interpolation", "expand", "center", "fill"] rotate;
    "affine" () ["angle", "translate", "scale", "shear", "interpolation", "fill", "center"] affine;
    "perspective" () ["startpoints", "endpoints", "interpolation", "fill", "coefficients"] perspective;
    "elastic" ("displacement") ["interpolation", "fill"] |c, x| {
        let options = WarpOptions { interpolation: c.mode(InterpolationMode::Bilinear)?, fill: c.fill()?, center: None };
        Ok(vec![functional::elastic(x, c.tensor("displacement")?, &options)?])
    };
}

/// A call of images, or of one without a batch.
fn of_images(call: &Call, run: impl Fn(&Call, &Tensor) -> Results) -> Results {
    let images = call.tensor("inpt")?;
    if images.rank() != 3 {
        return run(call, images);
    }
    run(call, &images.unsqueeze(0)?)?.iter().map(|image| Ok(image.squeeze(0)?)).collect()
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::Array(values) => values.iter().map(Value::as_f64).collect(),
        value => value.as_f64().map(|number| vec![number]),
    }
}

impl Call<'_> {
    /// A number or a list of them.
    fn several(&self, name: &str) -> Result<Option<Vec<f64>>, Refusal> {
        self.attr(name).map(|value| numbers(value).ok_or_else(|| self.wrong(name))).transpose()
    }

    fn point(&self, name: &str) -> Result<Option<[f64; 2]>, Refusal> {
        let point = |values: Vec<f64>| values.try_into().map_err(|_| self.wrong(name));
        self.several(name)?.map(point).transpose()
    }

    fn mode(&self, default: InterpolationMode) -> Result<InterpolationMode, Refusal> {
        match self.attr("interpolation").map(Value::as_str) {
            None => Ok(default),
            Some(Some("nearest")) => Ok(InterpolationMode::Nearest),
            Some(Some("nearest-exact")) => Ok(InterpolationMode::NearestExact),
            Some(Some("bilinear")) => Ok(InterpolationMode::Bilinear),
            Some(Some("bicubic")) => Ok(InterpolationMode::Bicubic),
            _ => Err(self.wrong("interpolation")),
        }
    }

    fn fill(&self) -> Result<Option<Vec<f32>>, Refusal> {
        Ok(self.several("fill")?.map(|values| values.into_iter().map(|value| value as f32).collect()))
    }

    fn resizing(&self) -> Result<ResizeOptions, Refusal> {
        let max_size = if self.several("size")?.is_none() { None } else { self.integers("max_size")? };
        Ok(ResizeOptions {
            interpolation: self.mode(InterpolationMode::Bilinear)?,
            max_size: max_size.map(|size| usize::try_from(size[0])).transpose().map_err(|_| self.wrong("max_size"))?,
            antialias: self.flag("antialias", true)?,
        })
    }

    fn image_size(&self) -> Result<ImageSize, Refusal> {
        if self.attr("size").is_none() {
            return Ok(ImageSize::Longest(self.size("max_size")?));
        }
        match self.sizes("size")?[..] {
            [shortest] => Ok(shortest.into()),
            [height, width] => Ok([height, width].into()),
            _ => Err(self.wrong("size")),
        }
    }

    /// Height and width, from one number or two.
    fn sides(&self, name: &str) -> Result<[usize; 2], Refusal> {
        self.pair(name)?.ok_or_else(|| self.wrong(name))
    }

    /// One region, or one for each image if numbers are lists.
    fn regions(&self) -> Result<Vec<Region>, Refusal> {
        let list = |name: &str| self.integers(name)?.ok_or_else(|| self.wrong(name));
        let [top, left, height, width] = [list("top")?, list("left")?, list("height")?, list("width")?];
        let count = [&top, &left, &height, &width].iter().map(|list| list.len()).max().unwrap_or(1);
        let at = |list: &[i64], n: usize| list[if list.len() == 1 { 0 } else { n }];
        let size = |list: &[i64], n: usize| usize::try_from(at(list, n)).map_err(|_| self.wrong("height"));
        (0..count)
            .map(|n| {
                Ok(Region {
                    top: at(&top, n) as isize,
                    left: at(&left, n) as isize,
                    height: size(&height, n)?,
                    width: size(&width, n)?,
                })
            })
            .collect()
    }
}

fn pad(call: &Call, images: &Tensor) -> Results {
    let mode = match call.attr("padding_mode").map_or(Some("constant"), Value::as_str) {
        Some("constant") => PaddingMode::Constant(call.fill()?.unwrap_or(vec![0.0])),
        Some("edge") => PaddingMode::Edge,
        Some("reflect") => PaddingMode::Reflect,
        Some("symmetric") => PaddingMode::Symmetric,
        _ => return Err(call.wrong("padding_mode")),
    };
    let padding = match call.sizes("padding")?[..] {
        [all] => [all; 4],
        [x, y] => [x, y, x, y],
        [left, top, right, bottom] => [left, top, right, bottom],
        _ => return Err(call.wrong("padding")),
    };
    Ok(vec![functional::pad(images, padding, &mode)?])
}

fn rotate(call: &Call, images: &Tensor) -> Results {
    let options = RotateOptions {
        interpolation: call.mode(InterpolationMode::Nearest)?,
        expand: call.flag("expand", false)?,
        center: call.point("center")?,
        fill: call.fill()?,
    };
    let angles = call.several("angle")?.ok_or_else(|| call.wrong("angle"))?;
    Ok(vec![functional::rotate(images, &angles, &options)?])
}

fn affine(call: &Call, images: &Tensor) -> Results {
    let shear = match call.several("shear")?.unwrap_or_default()[..] {
        [] => [0.0; 2],
        [x] if call.attr("shear").is_some_and(Value::is_number) => [x, 0.0],
        [both] => [both; 2],
        [x, y] => [x, y],
        _ => return Err(call.wrong("shear")),
    };
    let one = AffineNumbers {
        angle: 0.0,
        translate: call.point("translate")?.unwrap_or_default(),
        scale: call.number("scale")?.unwrap_or(1.0),
        shear,
    };
    let angles = call.several("angle")?.unwrap_or(vec![0.0]);
    let numbers: Vec<AffineNumbers> = angles.into_iter().map(|angle| AffineNumbers { angle, ..one }).collect();
    let options = WarpOptions {
        interpolation: call.mode(InterpolationMode::Nearest)?,
        fill: call.fill()?,
        center: call.point("center")?,
    };
    Ok(vec![functional::affine(images, &numbers, &options)?])
}

fn perspective(call: &Call, images: &Tensor) -> Results {
    let corners = |name: &str| -> Result<Corners, Refusal> {
        let list = call.attr(name).and_then(Value::as_array).ok_or_else(|| call.wrong(name))?;
        let points: Option<Vec<[f64; 2]>> = list.iter().map(|point| numbers(point)?.try_into().ok()).collect();
        points.and_then(|points| points.try_into().ok()).ok_or_else(|| call.wrong(name))
    };
    let pair = match call.several("coefficients")?.as_deref() {
        None => (corners("startpoints")?, corners("endpoints")?),
        // The sources of four corners.
        Some(&[a, b, c, d, e, f, g, h]) => {
            let end = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]];
            let start = end.map(|[x, y]: [f64; 2]| {
                let w = g * x + h * y + 1.0;
                [(a * x + b * y + c) / w, (d * x + e * y + f) / w]
            });
            (start, end)
        }
        Some(_) => return Err(call.wrong("coefficients")),
    };
    let options =
        WarpOptions { interpolation: call.mode(InterpolationMode::Bilinear)?, fill: call.fill()?, center: None };
    Ok(vec![functional::perspective(images, &[pair], &options)?])
}

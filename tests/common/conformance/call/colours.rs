//! Transforms of colours, histograms and neighbourhoods, by torchvision's names.

use super::{Call, Operation, Results};
use crate::conformance::Refusal;
use serde_json::Value;
use wgrad::transforms::functional::{self, Numbers, Rectangle};
use wgrad::{DType, Tensor};

transforms! {
    "adjust_brightness" () ["brightness_factor"] |c, x| Ok(functional::adjust_brightness(x, c.numbers("brightness_factor")?)?);
    "adjust_contrast" () ["contrast_factor"] |c, x| Ok(functional::adjust_contrast(x, c.numbers("contrast_factor")?)?);
    "adjust_saturation" () ["saturation_factor"] |c, x| Ok(functional::adjust_saturation(x, c.numbers("saturation_factor")?)?);
    "adjust_hue" () ["hue_factor"] |c, x| Ok(functional::adjust_hue(x, c.numbers("hue_factor")?)?);
    "adjust_sharpness" () ["sharpness_factor"] |c, x| Ok(functional::adjust_sharpness(x, c.numbers("sharpness_factor")?)?);
    "adjust_gamma" () ["gamma", "gain"] |c, x| Ok(functional::adjust_gamma(x, c.numbers("gamma")?, c.numbers_or("gain", 1.0)?)?);
    "rgb_to_grayscale" () ["num_output_channels"] |c, x| Ok(functional::rgb_to_grayscale(x, c.size("num_output_channels")?)?);
    "invert" () [] |_, x| Ok(functional::invert(x)?);
    "posterize" () ["bits"] |c, x| Ok(functional::posterize(x, c.numbers("bits")?)?);
    "solarize" () ["threshold"] |c, x| Ok(functional::solarize(x, c.numbers("threshold")?)?);
    "autocontrast" () [] |_, x| Ok(functional::autocontrast(x)?);
    "equalize" () [] |_, x| Ok(functional::equalize(x)?);
    "gaussian_blur" () ["kernel_size", "sigma", "sigmas"] gaussian_blur;
    "normalize" () ["mean", "std"] |c, x| Ok(functional::normalize(x, &c.doubles("mean")?, &c.doubles("std")?)?);
    "to_dtype" () ["dtype", "scale"] to_dtype;
    "permute_channels" () ["permutation"] |c, x| Ok(functional::permute_channels(x, &c.sizes("permutation")?)?);
    "erase" ("v") ["i", "j", "h", "w"] erase;
}

/// A call of images, or of one without a batch.
fn of_images(call: &Call, run: impl Fn(&Call, &Tensor) -> Result<Tensor, Refusal>) -> Results {
    let images = call.tensor("inpt")?;
    match images.rank() {
        3 => Ok(vec![run(call, &images.unsqueeze(0)?)?.squeeze(0)?]),
        _ => Ok(vec![run(call, images)?]),
    }
}

impl Call<'_> {
    /// A number for all images, or a list of one for each.
    fn numbers(&self, name: &str) -> Result<Numbers, Refusal> {
        let Some(Value::Array(values)) = self.attr(name) else {
            return Ok(self.number(name)?.ok_or_else(|| self.wrong(name))?.into());
        };
        let numbers = values.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>().ok_or_else(|| self.wrong(name))?;
        Ok(Numbers::Each(Tensor::from_f64(self.device, &numbers, &[numbers.len()])?))
    }

    fn numbers_or(&self, name: &str, default: f64) -> Result<Numbers, Refusal> {
        if self.attr(name).is_none() { Ok(default.into()) } else { self.numbers(name) }
    }

    /// A list of numbers.
    fn doubles(&self, name: &str) -> Result<Vec<f64>, Refusal> {
        let list = self.attr(name).and_then(Value::as_array).ok_or_else(|| self.wrong(name))?;
        list.iter().map(|value| value.as_f64().ok_or_else(|| self.wrong(name))).collect()
    }
}

fn gaussian_blur(call: &Call, images: &Tensor) -> Result<Tensor, Refusal> {
    let size: [usize; 2] = call.pair("kernel_size")?.ok_or_else(|| call.wrong("kernel_size"))?;
    let sigma = match (call.attr("sigma"), call.attr("sigmas")) {
        // One for each image, for both directions.
        (None, Some(_)) => Some([call.numbers("sigmas")?, call.numbers("sigmas")?]),
        (None, None) => None,
        (Some(Value::Array(_)), _) => {
            let sigma = call.doubles("sigma")?;
            let last = *sigma.last().ok_or_else(|| call.wrong("sigma"))?;
            Some([sigma[0].into(), last.into()])
        }
        _ => Some([call.numbers("sigma")?, call.numbers("sigma")?]),
    };
    Ok(functional::gaussian_blur(images, size, sigma)?)
}

fn to_dtype(call: &Call, images: &Tensor) -> Result<Tensor, Refusal> {
    let dtype = match call.attr("dtype").and_then(Value::as_str) {
        Some("float32" | "torch.float32") => DType::F32,
        Some("uint8" | "torch.uint8") => DType::I32,
        _ => return Err(call.wrong("dtype")),
    };
    Ok(functional::to_dtype(images, dtype, call.flag("scale", false)?)?)
}

fn erase(call: &Call, images: &Tensor) -> Result<Tensor, Refusal> {
    let rectangle = Rectangle {
        top: call.numbers("i")?,
        left: call.numbers("j")?,
        height: call.numbers("h")?,
        width: call.numbers("w")?,
    };
    Ok(functional::erase(images, &rectangle, &call.tensor("v")?.unsqueeze(0)?)?)
}

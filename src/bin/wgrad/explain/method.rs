//! The methods by their names.

use std::cell::OnceCell;
use wgrad::explain::{
    CamMethod, Explainer, GradientShapOptions, IntegratedGradientsOptions, LimeOptions, NoiseTunnelOptions,
    OcclusionOptions, RiseOptions, Sign, SlicOptions, Superpixels, slic,
};
use wgrad::{Result, Tensor};

/// The name for all of them.
pub const ALL: &str = "all";

/// Noisy copies of a picture, and their deviation in parts of the picture's range (Smilkov et al., 2017).
const NOISY: usize = 25;
const NOISE: f64 = 0.15;
/// Windows of occlusion along a side.
const WINDOWS: usize = 8;

/// A picture that is asked about.
pub struct Question<'a> {
    pub explainer: Explainer<'a>,
    /// `[1, C, H, W]`, normalized.
    pub images: Tensor,
    /// The same as bytes.
    pub pixels: Tensor,
    pub layer: &'a str,
    /// Superpixels, about.
    pub segments: usize,
    /// Those that a method asked for.
    pub superpixels: OnceCell<Superpixels>,
    pub samples: usize,
}

impl Question<'_> {
    /// A deviation of noise.
    fn noise(&self) -> Result<f64> {
        let values = self.images.to_f64()?;
        let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        Ok(NOISE * (high - low))
    }

    /// The picture's superpixels, made where the first method asks for them.
    fn superpixels(&self) -> Result<&Superpixels> {
        if let Some(known) = self.superpixels.get() {
            return Ok(known);
        }
        let found = slic(&self.pixels, &SlicOptions::default().segments(self.segments))?;
        Ok(self.superpixels.get_or_init(|| found))
    }
}

/// A method of the library, and the sign of its values to show.
pub struct Method {
    pub name: &'static str,
    pub sign: Sign,
    /// The percentage of a map's sum that its largest numbers may hold and be cut off.
    pub outliers: f64,
    pub needs_layer: bool,
    pub of: fn(&Question) -> Result<Tensor>,
}

/// A method whose maps resolve single pixels, a few of which stand out.
const fn pixels(name: &'static str, sign: Sign, of: fn(&Question) -> Result<Tensor>) -> Method {
    Method { name, sign, outliers: 2.0, needs_layer: false, of }
}

/// A method whose maps are of regions.
const fn regions(name: &'static str, sign: Sign, of: fn(&Question) -> Result<Tensor>) -> Method {
    Method { name, sign, outliers: 0.0, needs_layer: false, of }
}

/// A method for a layer's maps.
const fn layer(name: &'static str, sign: Sign, of: fn(&Question) -> Result<Tensor>) -> Method {
    Method { name, sign, outliers: 0.0, needs_layer: true, of }
}

const fn cam(method: CamMethod, of: fn(&Question) -> Result<Tensor>) -> Method {
    layer(method.name(), Sign::Positive, of)
}

static METHODS: [Method; 24] = [
    pixels("saliency", Sign::Absolute, |q| q.explainer.saliency(&q.images)),
    pixels("gradient", Sign::Both, |q| q.explainer.vanilla_gradient(&q.images)),
    pixels("input-x-gradient", Sign::Both, |q| q.explainer.input_x_gradient(&q.images)),
    pixels("integrated-gradients", Sign::Both, |q| {
        q.explainer.integrated_gradients(&q.images, &IntegratedGradientsOptions::default())
    }),
    pixels("smooth-grad", Sign::Absolute, |q| {
        let options = NoiseTunnelOptions::default().samples(NOISY).std(q.noise()?);
        q.explainer.noise_tunnel(&q.images, &options, |explainer, images| explainer.saliency(images))
    }),
    pixels("gradient-shap", Sign::Both, |q| {
        let options = GradientShapOptions::default().samples(NOISY).std(q.noise()?);
        q.explainer.gradient_shap(&q.images, &q.images.zeros_like()?, &options)
    }),
    pixels("deep-lift", Sign::Both, |q| q.explainer.deep_lift(&q.images, None)),
    pixels("guided-backprop", Sign::Both, |q| q.explainer.guided_backprop(&q.images)),
    pixels("deconvolution", Sign::Both, |q| q.explainer.deconvolution(&q.images)),
    regions("occlusion", Sign::Both, |q| {
        let window = [2, 3].map(|dim| q.images.shape()[dim].div_ceil(WINDOWS));
        let options = OcclusionOptions::default().window(window).stride(window.map(|side| side.div_ceil(2)));
        q.explainer.occlusion(&q.images, &options)
    }),
    // A map of superpixels is the same in all channels.
    regions("feature-ablation", Sign::Both, |q| {
        let Superpixels { features, count } = q.superpixels()?;
        q.explainer.feature_ablation(&q.images, features, *count, None)?.narrow(1, 0, 1)
    }),
    regions("lime", Sign::Both, |q| {
        let Superpixels { features, count } = q.superpixels()?;
        let options = LimeOptions::default().samples(q.samples);
        q.explainer.lime(&q.images, features, *count, &options)?.narrow(1, 0, 1)
    }),
    // Probabilities, above that where the least shows.
    regions("rise", Sign::Positive, |q| {
        let map = q.explainer.rise(&q.images, &RiseOptions::default().masks(q.samples))?;
        &map - map.amin_keepdim([2, 3])?
    }),
    cam(CamMethod::Cam, |q| q.explainer.cam(&q.images, q.layer, CamMethod::Cam)),
    cam(CamMethod::GradCam, |q| q.explainer.cam(&q.images, q.layer, CamMethod::GradCam)),
    cam(CamMethod::GradCamPlusPlus, |q| q.explainer.cam(&q.images, q.layer, CamMethod::GradCamPlusPlus)),
    cam(CamMethod::XGradCam, |q| q.explainer.cam(&q.images, q.layer, CamMethod::XGradCam)),
    cam(CamMethod::ScoreCam, |q| q.explainer.cam(&q.images, q.layer, CamMethod::ScoreCam)),
    cam(CamMethod::LayerCam, |q| q.explainer.cam(&q.images, q.layer, CamMethod::LayerCam)),
    cam(CamMethod::EigenCam, |q| q.explainer.cam(&q.images, q.layer, CamMethod::EigenCam)),
    cam(CamMethod::AblationCam, |q| q.explainer.cam(&q.images, q.layer, CamMethod::AblationCam)),
    layer("guided-grad-cam", Sign::Both, |q| q.explainer.guided_grad_cam(&q.images, q.layer)),
    layer("activation", Sign::Absolute, |q| q.explainer.layer_activation(&q.images, q.layer)),
    layer("conductance", Sign::Both, |q| {
        q.explainer.layer_conductance(&q.images, q.layer, &IntegratedGradientsOptions::default())
    }),
];

/// All names.
pub fn names() -> Vec<&'static str> {
    std::iter::once(ALL).chain(METHODS.iter().map(|method| method.name)).collect()
}

/// The methods of these names, each once.
pub fn chosen(names: &[String]) -> Vec<&'static Method> {
    let is_named = |method: &&Method| names.iter().any(|name| name == ALL || name == method.name);
    METHODS.iter().filter(is_named).collect()
}

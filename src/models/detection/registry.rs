//! Detectors by name.

use super::{
    Detector, Fcos, FcosOptions, Rcnn, RcnnOptions, RetinaNet, RetinaNetOptions, Ssd, SsdOptions, Yolo, YoloOptions,
};
use crate::error::{Error, Result};
use crate::nn::Scope;

type Build = fn(&Scope, usize) -> Result<Box<dyn Detector>>;

/// Detectors of their options' constructors.
macro_rules! detectors {
    ($($network:ident, $options:ident: $($name:ident)*;)*) => {
        &[$($((stringify!($name), |scope, classes| {
            Ok(Box::new($network::new(scope, &$options::$name().classes(classes))?))
        })),*),*]
    };
}

const DETECTORS: &[(&str, Build)] = detectors! {
    Fcos, FcosOptions: fcos_resnet50_fpn;
    Rcnn, RcnnOptions:
        fasterrcnn_resnet50_fpn fasterrcnn_resnet50_fpn_v2 fasterrcnn_mobilenet_v3_large_fpn
        fasterrcnn_mobilenet_v3_large_320_fpn maskrcnn_resnet50_fpn maskrcnn_resnet50_fpn_v2 keypointrcnn_resnet50_fpn;
    RetinaNet, RetinaNetOptions: retinanet_resnet50_fpn retinanet_resnet50_fpn_v2;
    Ssd, SsdOptions: ssd300_vgg16 ssdlite320_mobilenet_v3_large;
    Yolo, YoloOptions: yolov3_tiny;
};

/// The names that [`by_name`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    DETECTORS.iter().map(|(name, _)| *name)
}

/// A detector by its name, torchvision's constructor, with `classes` classes: the background counts as one in SSD and the R-CNNs.
///
/// # Errors
/// [`Error::Invalid`] if there is no such detector; errors of the device.
///
/// ```
/// use wgrad::models::detection;
/// # use wgrad::{Device, DeviceOptions, Noop, nn::{Module, Scope}};
/// # let device = Device::with_options(&DeviceOptions::default().noop(Noop::default()))?;
/// let net = detection::by_name("ssdlite320_mobilenet_v3_large", &Scope::new(&device), 4)?;
/// assert_eq!(net.parameters()[0].name(), "backbone.features.0.0.0.weight");
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn by_name(name: &str, scope: &Scope, classes: usize) -> Result<Box<dyn Detector>> {
    let Some((_, build)) = DETECTORS.iter().find(|(known, _)| *known == name) else {
        let known = names().collect::<Vec<_>>().join(", ");
        return Err(Error::invalid("by_name", format!("no detector is called {name:?}; there are {known}")));
    };
    build(scope, classes)
}

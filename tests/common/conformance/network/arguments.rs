//! Arguments of torchvision's constructors.

use super::Refusal;
use serde_json::{Map, Value};

/// A constructor's arguments, each of which must be read.
pub struct Arguments<'a>(pub Vec<(&'a str, &'a Value)>);

impl Arguments<'_> {
    /// Arguments that determine how parameters start, which the state dictionary replaces, which of them are trained, or the
    /// memory of a forward pass.
    const WITHOUT_EFFECT: [&'static str; 8] = [
        "init_weights",
        "layer_scale",
        "memory_efficient",
        "progress",
        "trainable_backbone_layers",
        "weights",
        "weights_backbone",
        "zero_init_residual",
    ];

    pub fn new(attrs: &Map<String, Value>) -> Arguments<'_> {
        let matters = |(key, value): &(&str, &Value)| !value.is_null() && !Arguments::WITHOUT_EFFECT.contains(key);
        Arguments(attrs.iter().map(|(key, value)| (key.as_str(), value)).filter(matters).collect())
    }

    /// An argument that was passed.
    pub fn take<T>(&mut self, key: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, Refusal> {
        let Some(at) = self.0.iter().position(|(known, _)| *known == key) else { return Ok(None) };
        let (_, value) = self.0.swap_remove(at);
        let refused = || Refusal::Unsupported(format!("{key} of {value}"));
        read(value).ok_or_else(refused).map(Some)
    }

    pub fn end(&self) -> Result<(), Refusal> {
        self.0.first().map_or(Ok(()), |(key, _)| Err(Refusal::Unsupported(format!("attribute {key}"))))
    }
}

pub fn count(value: &Value) -> Option<usize> {
    value.as_u64().map(|count| count as usize)
}

pub fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

/// Several numbers or flags.
pub fn several<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

/// Replaces options by the arguments that were passed.
macro_rules! set {
    ($options:ident, $arguments:expr; $($key:literal $($field:ident).+ $read:path),* $(,)?) => {
        $(if let Some(value) = $arguments.take($key, $read)? {
            $options.$($field).+ = value;
        })*
    };
}
pub(super) use set;

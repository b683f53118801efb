//! A record of a run's settings.

use crate::error::{Error, Result};
use crate::file;
use crate::graph::Parameter;
use crate::train::{Callback, Run};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Writes `config.json` into the run's folder when it begins or resumes: the version of wgrad, the device, the model and its
/// number of parameters, the optimizer and its rates, epochs and batches, and entries that the program adds. With
/// [`classes`](Config::classes) it writes `classes.txt` too, a name a line in the order of the logits.
///
/// ```
/// use wgrad::train::Config;
/// let config = Config::default().with("model", "resnet18")?.with("image_size", 64)?.classes(["cat", "dog"]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    more: Map<String, Value>,
    classes: Vec<String>,
}

impl Config {
    /// Adds an entry, or replaces the one of the same name.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the value has no form in JSON.
    pub fn with(mut self, name: &str, value: impl Serialize) -> Result<Config> {
        let unwritable = |error| Error::invalid("Config", format!("{name} can't be written as JSON: {error}"));
        self.more.insert(name.to_string(), serde_json::to_value(value).map_err(unwritable)?);
        Ok(self)
    }

    /// Sets the names of classes.
    #[must_use]
    pub fn classes<S: Into<String>>(self, classes: impl IntoIterator<Item = S>) -> Config {
        Config { classes: classes.into_iter().map(Into::into).collect(), ..self }
    }

    fn text(&self, run: &Run) -> Result<String> {
        let lrs = (0..run.optimizer.groups()).map(|group| run.optimizer.lr(group)).collect::<Result<Vec<f64>>>()?;
        let parameters = run.model.parameters();
        let trained = parameters.iter().filter(|parameter| !parameter.is_buffer());
        let count: usize = trained.map(|parameter: &Parameter| parameter.value().numel()).sum();
        let mut config = json!({
            "wgrad": env!("CARGO_PKG_VERSION"),
            "device": run.device.name(),
            "model": run.model.type_name(),
            "parameters": count,
            "optimizer": run.optimizer.name(),
            "lr": lrs,
            "epochs": run.epochs,
            "batches": run.batches,
        });
        if let Some(config) = config.as_object_mut() {
            config.extend(self.more.clone());
        }
        Ok(format!("{config:#}\n"))
    }
}

impl Callback for Config {
    fn on_fit_start(&mut self, run: &mut Run) -> Result<()> {
        let missing = || Error::invalid("Config", "the run has no folder: set TrainerOptions::folder");
        let folder = run.folder.ok_or_else(missing)?;
        file::replace(&folder.join("config.json"), self.text(run)?.as_bytes())?;
        if self.classes.is_empty() {
            return Ok(());
        }
        let lines: String = self.classes.iter().map(|class| format!("{class}\n")).collect();
        file::replace(&folder.join("classes.txt"), lines.as_bytes())
    }
}

//! A page of drawings.

use super::super::drawing::{Drawing, escape};
use super::{document, sections};
use crate::error::Result;
use crate::file;
use std::path::Path;

/// One self-contained file of drawings under headings, readable offline.
///
/// ```
/// use wgrad::report::{DrawingPage, LineChart};
/// # let folder = tempfile::tempdir().unwrap();
/// let drawing = LineChart::new("Loss", "epoch", "loss").series("training", vec![(1.0, 0.9), (2.0, 0.4)]).draw();
/// let page = DrawingPage::new("A run", "two epochs").section("Curves", &[drawing])?;
/// page.facts("Settings", &[("rate".to_string(), "0.1".to_string())]).save(&folder.path().join("report.html"))?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DrawingPage {
    title: String,
    about: String,
    sections: String,
}

impl DrawingPage {
    /// A page with a title, and a line below it.
    pub fn new(title: &str, about: &str) -> DrawingPage {
        DrawingPage { title: title.to_string(), about: about.to_string(), sections: String::new() }
    }

    /// Adds drawings under a heading.
    ///
    /// # Errors
    /// Those of [`Drawing::svg`].
    pub fn section(mut self, heading: &str, drawings: &[Drawing]) -> Result<DrawingPage> {
        let figures = drawings.iter().map(|drawing| sections::figure(&drawing.svg()?)).collect::<Result<String>>()?;
        self.sections += &sections::section(&escape(heading), &figures);
        Ok(self)
    }

    /// Adds a table of names and values.
    #[must_use = "it returns the page with the table"]
    pub fn facts(mut self, heading: &str, rows: &[(String, String)]) -> DrawingPage {
        self.sections += &sections::section(&escape(heading), &sections::table(rows));
        self
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File).
    pub fn save(&self, path: &Path) -> Result<()> {
        file::replace(path, document(&self.title, &self.about, &self.sections).as_bytes())
    }
}

//! `report.html`: one self-contained file.

mod answered;
mod drawings;
mod history;
mod pictures;
mod sections;

use super::Drawing;
use super::drawing::escape;
use crate::error::Result;
use crate::logs::Record;

pub use answered::AnswersPage;
pub(super) use answered::{Answered, Images};
pub use drawings::DrawingPage;
pub(super) use history::History;
use pictures::Mistake;

/// The content of a page about a run.
pub(super) struct Page<'a> {
    pub title: &'a str,
    /// `running`, `finished`, `stopped: ...`, `failed: ...`.
    pub status: String,
    pub history: &'a History,
    pub answered: Answered<'a>,
    /// Drawings of the trained model, each with a heading.
    pub figures: &'a [(String, Drawing)],
    /// Tables of names and values, each with a heading.
    pub facts: Vec<(&'static str, Vec<(String, String)>)>,
}

impl Page<'_> {
    /// The whole file.
    pub fn html(&self) -> Result<String> {
        let sections = [
            sections::tiles(self),
            sections::curves(self)?,
            self.answered.sections()?,
            sections::figures(self)?,
            sections::facts(self),
        ];
        Ok(document(self.title, &self.status, &sections.concat()))
    }

    fn last(&self) -> Option<&Record> {
        self.history.epochs.last()
    }
}

/// A whole file, with a line of text below its title.
fn document(title: &str, status: &str, sections: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{style}</style>\n</head>\n\
         <body>\n<header>\n<h1>{title}</h1>\n<p class=\"status\">{status}</p>\n</header>\n<main>\n{sections}</main>\n\
         <script>\n{script}</script>\n</body>\n</html>\n",
        title = escape(title),
        status = escape(status),
        style = include_str!("style.css"),
        script = include_str!("sort.js"),
    )
}

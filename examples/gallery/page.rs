//! The page: a template, and the numbers that sections measured.

use super::common::Result;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Printed numbers of a section, by their names.
pub type Numbers = Vec<(&'static str, String)>;

const TEMPLATE: &str = include_str!("template.md");

/// `GALLERY.md`, and the folder of its pictures and numbers.
pub struct Page {
    docs: PathBuf,
    /// Numbers by `section.name`.
    numbers: BTreeMap<String, String>,
}

impl Page {
    /// The page of a folder, with the numbers of sections that were drawn before.
    pub fn open(docs: &Path) -> Result<Page> {
        fs::create_dir_all(docs.join("gallery"))?;
        let known = docs.join("gallery/numbers.json");
        let numbers = if known.is_file() { serde_json::from_slice(&fs::read(known)?)? } else { BTreeMap::new() };
        Ok(Page { docs: docs.to_path_buf(), numbers })
    }

    /// The file of a section's picture.
    pub fn picture(&self, section: &str) -> PathBuf {
        self.docs.join(format!("gallery/{section}.png"))
    }

    /// Replaces the numbers of a section.
    pub fn keep(&mut self, section: &str, numbers: Numbers) -> Result<()> {
        self.numbers.retain(|name, _| name.split('.').next() != Some(section));
        self.numbers.extend(numbers.into_iter().map(|(name, number)| (format!("{section}.{name}"), number)));
        let json = serde_json::to_string_pretty(&self.numbers)?;
        Ok(fs::write(self.docs.join("gallery/numbers.json"), json + "\n")?)
    }

    /// Writes `GALLERY.md`.
    pub fn write(&self) -> Result<()> {
        Ok(fs::write(self.docs.join("GALLERY.md"), self.text()?)?)
    }

    /// The template with each `{{section.name}}` replaced by its number. Sections that were not drawn are left out; a number that
    /// a section has not measured is an error.
    pub fn text(&self) -> Result<String> {
        let mut text = String::new();
        for part in TEMPLATE.split_inclusive("\n\n---\n\n") {
            let pictures = part.split("](gallery/").skip(1).filter_map(|rest| rest.split_once(".png"));
            if pictures.map(|(name, _)| self.picture(name)).all(|picture| picture.is_file()) {
                text += &self.filled(part)?;
            }
        }
        Ok(text)
    }

    fn filled(&self, part: &str) -> Result<String> {
        let mut pieces = part.split("{{");
        let mut filled = pieces.next().unwrap_or_default().to_string();
        for piece in pieces {
            let (name, rest) = piece.split_once("}}").ok_or("a place of the template does not end")?;
            let number = self.numbers.get(name).ok_or_else(|| format!("nobody measured {name}"))?;
            filled += number;
            filled += rest;
        }
        Ok(filled)
    }
}

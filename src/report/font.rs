//! Texts in pictures: their widths and their pixels.

use super::colour::Colour;
use crate::number::nearest;
use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use plotters_backend::text_anchor::{HPos, Pos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendTextStyle, FontFamily, FontTransform};
use std::sync::OnceLock;

const BYTES: &[u8] = include_bytes!("font/DejaVuSans.ttf");
/// Fonts with letters as wide, or narrower ones, for viewers without DejaVu.
const FAMILY: &str = "DejaVu Sans, Verdana, Geneva, sans-serif";
/// Plotters divides the size of a font by this in SVGs.
const PLOTTERS_SIZE: f64 = 1.24;
/// Distance of the base line below the middle of small letters, in font sizes: half of an `x`, as in plotters's SVGs.
const MIDDLE: f64 = 0.27;

fn font() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::try_from_slice(BYTES).ok()).as_ref()
}

/// The font at `size` pixels per em.
fn scale(font: &FontRef, size: f64) -> PxScale {
    let em = font.units_per_em().unwrap_or(2048.0);
    PxScale::from(nearest::<f32>(size) * font.height_unscaled() / em)
}

/// Text with a replacement for characters that no picture and no XML can show.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// The glyphs of a line that begins at 0, and its end.
fn glyphs(text: &str, size: f64) -> (Vec<Glyph>, f64) {
    let Some(font) = font() else { return (Vec::new(), 0.0) };
    let scale = scale(font, size);
    let scaled = font.as_scaled(scale);
    let (mut end, mut last, mut glyphs) = (0.0, None, Vec::new());
    for character in text.chars() {
        let id = font.glyph_id(character);
        end += last.map_or(0.0, |last| scaled.kern(last, id));
        glyphs.push(id.with_scale_and_position(scale, point(end, 0.0)));
        // Other fonts of a viewer have letters up to an em wide for characters that this one lacks.
        end += if id.0 == 0 { nearest::<f32>(size) } else { scaled.h_advance(id) };
        last = Some(id);
    }
    (glyphs, end.into())
}

/// The width of a line of text.
pub(super) fn width(text: &str, size: f64) -> f64 {
    glyphs(&printable(text), size).1
}

/// The text, or as much of its beginning and end as fits, so that similar names stay different.
pub(super) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_string();
    }
    let characters: Vec<char> = text.chars().collect();
    let shortened = |kept: usize| {
        let head = kept.div_ceil(2);
        let tail = &characters[characters.len() - (kept - head)..];
        characters[..head].iter().chain(&['…']).chain(tail).collect::<String>()
    };
    let kept = (0..characters.len()).rev().find(|&kept| width(&shortened(kept), size) <= room);
    shortened(kept.unwrap_or(0))
}

/// Lines of whole words that fit, at most `most`; the last one is shortened if necessary.
pub(super) fn wrap(text: &str, size: f64, room: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let may_begin = lines.len() < most;
        match lines.last_mut() {
            Some(line) if !may_begin || width(&format!("{line} {word}"), size) <= room => {
                *line = format!("{line} {word}")
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines.iter().map(|line| fit(line, size, room)).collect()
}

/// The style of a text for plotters's backends.
pub(super) struct Label {
    pub size: f64,
    pub anchor: HPos,
    pub upright: bool,
    pub colour: Colour,
}

impl BackendTextStyle for Label {
    type FontError = std::convert::Infallible;

    fn color(&self) -> BackendColor {
        self.colour.backend()
    }

    fn size(&self) -> f64 {
        self.size * PLOTTERS_SIZE
    }

    fn transform(&self) -> FontTransform {
        if self.upright { FontTransform::Rotate270 } else { FontTransform::None }
    }

    fn anchor(&self) -> Pos {
        Pos::new(self.anchor, VPos::Center)
    }

    fn family(&self) -> FontFamily<'_> {
        FontFamily::Name(FAMILY)
    }

    fn layout_box(&self, text: &str) -> Result<((i32, i32), (i32, i32)), Self::FontError> {
        Ok(((0, 0), (nearest::<i32>(width(text, self.size).round()), nearest::<i32>(self.size.round()))))
    }

    /// Blends the colour into pixels. Lines are laid out to fractions of a pixel.
    fn draw<E, D: FnMut(i32, i32, BackendColor) -> Result<(), E>>(
        &self,
        text: &str,
        (left, top): BackendCoord,
        mut draw: D,
    ) -> Result<Result<(), E>, Self::FontError> {
        let Some(font) = font() else { return Ok(Ok(())) };
        let base = nearest::<i32>((self.size * (0.5 + MIDDLE)).round());
        for outline in glyphs(text, self.size).0.into_iter().filter_map(|glyph| font.outline_glyph(glyph)) {
            let bounds = outline.px_bounds();
            let (x0, y0) = (nearest::<i32>(bounds.min.x), nearest::<i32>(bounds.min.y));
            let mut result = Ok(());
            outline.draw(|x, y, coverage| {
                let (x, y) = (i32::try_from(x).unwrap_or(0), i32::try_from(y).unwrap_or(0));
                let colour = BackendColor { alpha: coverage.min(1.0).into(), ..self.colour.backend() };
                if result.is_ok() && coverage > 0.0 {
                    result = draw(left + x0 + x, top + base + y0 + y, colour);
                }
            });
            if result.is_err() {
                return Ok(result);
            }
        }
        Ok(Ok(()))
    }
}

//! Names and numbers in a text.

/// Start and end of every one, and the text.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_name)?;
        at = text[start..].find(|c| !is_name(c)).map_or(text.len(), |length| start + length);
        Some((start, at, text))
    })
}

/// The text with something else in the place of each, which may be the same.
pub(crate) fn with_words<'a>(text: &'a str, instead: impl Fn(&'a str) -> &'a str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end, _) in words(text) {
        out.push_str(&text[done..start]);
        out.push_str(instead(&text[start..end]));
        done = end;
    }
    out.push_str(&text[done..]);
    out
}

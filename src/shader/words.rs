//! Names, numbers and other tokens of a text.

use crate::shader::sizes::MARK;

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

/// The text with each of them replaced, perhaps by itself.
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

/// Names and numbers, sizes with their marks, comments, space, and single signs.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = |is_part: &dyn Fn(char) -> bool| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == MARK {
            rest[1..].find(MARK).map_or(rest.len(), |end| end + 2)
        } else if first.is_ascii_digit() {
            length(&|c| is_word(c) || c == '.')
        } else if is_word(first) {
            length(&is_word)
        } else if first.is_whitespace() {
            length(&char::is_whitespace)
        } else {
            first.len_utf8()
        };
        let token;
        (token, rest) = rest.split_at(end);
        Some(token)
    })
}

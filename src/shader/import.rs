//! `#import name` in a template: the text of `shaders/import/name.wgsl` replaces the line.
//!
//! Templates are expanded when the crate is compiled, so all code sees complete modules. Imported files import nothing.

#![expect(clippy::panic, reason = "these are errors of the compiler: templates are constants")]

/// Makes the table of imports from the names of the files.
macro_rules! imports {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/import/", $name, ".wgsl")))),*]
    };
}

/// The files that templates may import.
const IMPORTS: &[(&str, &str)] = imports![
    "adaptive_window",
    "conv_backward_data",
    "conv_backward_filter",
    "conv_forward",
    "conv_geometry",
    "conv_grid",
    "conv_segment",
    "ctc_lanes",
    "ctc_operands",
    "eight",
    "index_operands",
    "invocations",
    "invocations_of_parts",
    "matmul_parts",
    "matmul_place",
    "pool_cells",
    "pool_divisor",
    "pool_geometry",
    "pool_maxima",
    "radix_keys",
    "report",
    "roi_geometry",
    "roi_levels",
    "store_eight",
    "winograd_products",
];

const KEYWORD: &[u8] = b"#import ";

/// Copies a template with its imports into `LENGTH` bytes, as far as these go, and counts the bytes of the whole.
pub(crate) const fn expand<const LENGTH: usize>(template: &str) -> ([u8; LENGTH], usize) {
    let (mut out, mut length) = ([0; LENGTH], 0);
    let mut rest = template.as_bytes();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(line_length(rest));
        let copied = if starts_with(line, KEYWORD) { imported(line) } else { line };
        if length + copied.len() <= LENGTH {
            out.split_at_mut(length).1.split_at_mut(copied.len()).0.copy_from_slice(copied);
        }
        length += copied.len();
        rest = after;
    }
    (out, length)
}

/// The text of expanded bytes.
pub(crate) const fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("a template is not UTF-8"),
    }
}

/// The bytes of the file that a line imports.
const fn imported(line: &[u8]) -> &'static [u8] {
    let mut at = 0;
    while at < IMPORTS.len() {
        let (name, text) = IMPORTS[at];
        if starts_with(line, KEYWORD)
            && line.len() == KEYWORD.len() + name.len() + 1
            && starts_with(line.split_at(KEYWORD.len()).1, name.as_bytes())
        {
            return text.as_bytes();
        }
        at += 1;
    }
    panic!("a template imports a file that is not in the table")
}

/// Number of bytes up to the first line's end, included.
const fn line_length(text: &[u8]) -> usize {
    let mut at = 0;
    while at < text.len() && text[at] != b'\n' {
        at += 1;
    }
    if at < text.len() { at + 1 } else { at }
}

const fn starts_with(text: &[u8], start: &[u8]) -> bool {
    let mut at = 0;
    while at < start.len() {
        if at >= text.len() || text[at] != start[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_stand_in_the_place_of_their_lines() {
        const TEMPLATE: &str = "// First.\n#import conv_grid\n// An #import elsewhere is none.\n";
        const LENGTH: usize = expand::<0>(TEMPLATE).1;
        let (bytes, length) = expand::<LENGTH>(TEMPLATE);
        assert_eq!(length, LENGTH);
        let grid = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/import/conv_grid.wgsl"));
        assert_eq!(text(&bytes), format!("// First.\n{grid}// An #import elsewhere is none.\n"));
    }

    #[test]
    #[should_panic(expected = "not in the table")]
    fn an_unknown_import_is_refused() {
        let _ = expand::<0>("#import conv\n");
    }
}

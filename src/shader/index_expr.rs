//! Indices into strided tensors, as text.

use crate::shader::size;
use std::fmt::Write;

/// The WGSL expression of the memory index for the index `index` over some sizes, each with its stride. `name` distinguishes its
/// sizes from others in the same kernel. The first size is not written: it may be that of the outermost dimension, which a
/// shorter last batch changes.
pub(crate) fn index_expr(name: &str, steps: &[(usize, usize)], index: &str) -> String {
    let mut text = String::new();
    let mut inner = 1;
    for (at, &(of, stride)) in steps.iter().enumerate().rev() {
        let part = |part: &str, value: usize| size(&format!("{name}_{part}{at}"), value);
        let mut term = if inner == 1 { index.to_string() } else { format!("({index} / {})", part("inner", inner)) };
        if at > 0 {
            // Without elements nothing is read; the text must be valid all the same.
            term = format!("({term} % {})", part("size", of.max(1)));
        }
        if stride != 0 {
            let stride = if stride == 1 { "1u".to_string() } else { part("stride", stride) };
            let _ = write!(text, "{}{term} * {stride}", if text.is_empty() { "" } else { " + " });
        }
        inner *= of.max(1);
    }
    if text.is_empty() { "0u".to_string() } else { format!("({text})") }
}

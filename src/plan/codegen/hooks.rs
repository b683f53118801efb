//! Text for the hooks of other templates.

use crate::error::Result;
use crate::plan::analysis::wiring::Root;
use crate::plan::codegen::emit::{Emitter, Uses, internal};
use crate::shader::{Kernel, Word, with_words};

/// The types that `F`, `I`, `U` and `B` stand for in hooks of one number.
pub(super) const SINGLE: [&str; 4] = ["f32", "i32", "u32", "bool"];

/// The types that they stand for in hooks of four numbers.
pub(super) const FOURS: [&str; 4] = ["vec4<f32>", "vec4<i32>", "vec4<u32>", "vec4<bool>"];

/// Gives a kernel what its hooks refer to: parameter words, bindings, libraries.
pub(super) fn extend(
    kernel: &mut Kernel,
    emitter: &Emitter,
    words: &[Word],
    types: [&str; 4],
    uses: &Uses,
    array: impl Fn(Root) -> &'static str,
) -> Result<()> {
    let fields = kernel.param_fields().ok_or_else(|| internal("a kernel without parameters"))?;
    kernel.params.resize(fields.next_multiple_of(4), Word::Value(0));
    kernel.extra_words = words.len().div_ceil(4).max(1);
    kernel.params.extend(words.iter().copied());
    emitter.bind(kernel, uses, kernel.free_binding(), array);
    kernel.declarations.push_str("\nfn word(index: u32) -> u32 { return params.words[index / 4u][index % 4u]; }\n");
    kernel.declarations.push_str(&spelled(&emitter.libraries(), types));
    Ok(())
}

/// The body of a template's hook.
pub(super) fn hook_body(body: &str, types: [&str; 4]) -> String {
    format!("\n{}", spelled(body, types))
}

/// A text with the types written out that `F`, `I`, `U` and `B` stand for: another call's template may have its own meaning
/// for such a name, as cooperative matrices have for `B`.
pub(super) fn spelled(text: &str, types: [&str; 4]) -> String {
    with_words(text, |word| {
        let alias = ["F", "I", "U", "B"].iter().position(|&alias| alias == word);
        alias.map_or(word, |at| types[at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_spelled_by_whole_names() {
        let text = "let B0 = F(I_x) + bitcast<F>(U(0xFu)); // I";
        assert_eq!(spelled(text, SINGLE), "let B0 = f32(I_x) + bitcast<f32>(u32(0xFu)); // i32");
    }
}

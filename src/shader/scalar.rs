//! Turns arrays in registers into one variable per element.
//!
//! Once loops are unrolled, every index of a register tile is a constant. naga reads an array of such elements slowly: split,
//! LeNet's second convolution is parsed in 2 ms instead of 14, its data gradient in 7 instead of 26.

use crate::shader::unroll::{constants, evaluate};
use crate::shader::words::words;
use std::collections::{HashMap, HashSet};

/// The text with every array of a function that is only indexed by constants split into variables.
pub(super) fn scalarise(text: &str) -> String {
    let constants = constants(text);
    let mut lengths: HashMap<&str, u64> = HashMap::new();
    for line in text.lines() {
        if let Some((name, _, length)) = declaration(line, &constants) {
            let shortest = lengths.entry(name).or_insert(length);
            *shortest = length.min(*shortest);
        }
    }
    if lengths.is_empty() {
        return text.to_string();
    }
    let names: HashSet<&str> = text.lines().flat_map(words).map(|(start, end, line)| &line[start..end]).collect();
    lengths.retain(|name, _| !names.contains(format!("{name}_0").as_str()));
    let mut kept_whole: HashSet<&str> = HashSet::new();
    for line in text.lines().filter(|line| declaration(line, &constants).is_none()) {
        for (start, end, _) in words(code(line)) {
            let name = &line[start..end];
            let Some(&length) = lengths.get(name) else { continue };
            if element(&line[end..], &constants).is_none_or(|(index, _)| index >= length) {
                kept_whole.insert(name);
            }
        }
    }
    lengths.retain(|name, _| !kept_whole.contains(name));
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match declaration(line, &constants) {
            Some((name, element, length)) if lengths.contains_key(name) => {
                for i in 0..length {
                    out.push_str(&format!("var {name}_{i}: {element};\n"));
                }
            }
            _ => {
                rewrite(line, &lengths, &constants, &mut out);
                out.push('\n');
            }
        }
    }
    out
}

fn rewrite(line: &str, lengths: &HashMap<&str, u64>, constants: &HashMap<String, u64>, out: &mut String) {
    let mut done = 0;
    for (start, end, _) in words(code(line)) {
        let name = &line[start..end];
        if start < done || !lengths.contains_key(name) {
            continue;
        }
        if let Some((index, used)) = element(&line[end..], constants) {
            out.push_str(&line[done..end]);
            out.push_str(&format!("_{index}"));
            done = end + used;
        }
    }
    out.push_str(&line[done..]);
}

fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or("")
}

/// Name, element type and length of `var name: array<type, length>;` within a function.
fn declaration<'a>(line: &'a str, constants: &HashMap<String, u64>) -> Option<(&'a str, &'a str, u64)> {
    let (name, rest) = line.trim().strip_prefix("var ")?.split_once(": array<")?;
    let (element, length) = rest.strip_suffix(">;")?.split_once(',')?;
    // A comma within the element type would have split there, and a module's variables have an address space.
    (!element.contains('<')).then_some(())?;
    Some((name, element, evaluate(length, constants)?))
}

/// The constant index that follows a name, and the length of its text.
fn element(text: &str, constants: &HashMap<String, u64>) -> Option<(u64, usize)> {
    text.strip_prefix('[')?;
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        if depth == 0 {
            return Some((evaluate(&text[1..i], constants)?, i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_apart_what_constants_index() {
        let text =
            "const N: u32 = 2u;\nfn f() {\n    var a: array<f32, N + 1u>;\n    a[N] = a[(3u - 2u) * 1u] + x.a;\n}\n";
        let out = scalarise(&text.replace(" + x.a", ""));
        assert!(out.contains("var a_2: f32;") && out.contains("a_2 = a_1;") && !out.contains("array<"));
        // A use that is not an element keeps it whole.
        assert_eq!(scalarise(text), text);
    }

    #[test]
    fn keeps_what_a_variable_indexes_and_what_would_clash() {
        let variable = "fn f() {\nvar a: array<f32, 4u>;\na[i] = a[0u];\n}\n";
        assert_eq!(scalarise(variable), variable);
        let clash = "fn f() {\nvar a: array<f32, 4u>;\nlet a_0 = a[0u];\n}\n";
        assert_eq!(scalarise(clash), clash);
        let nested = scalarise("fn f() {\nvar a: array<u32, 2u>;\nvar b: array<f32, 2u>;\nlet c = b[a[1u]];\n}\n");
        assert!(nested.contains("b[a_1]"));
    }
}

//! Unrolls loops that a driver may not unroll itself, and hides from drivers the trip counts of loops that they should not
//! unroll.
//!
//! In a template, `for (var i = 0u; i < LIMIT; i++) { // unroll` repeats its body with `i` replaced by 0, 1, ..; `LIMIT` is an
//! expression of numbers and the module's `const` values. naga knows no counted loops, and registers can't be indexed by a
//! variable, so inner register tiles are unrolled here. `// unroll by COUNT` unrolls that many iterations at a time, in a loop if
//! there are more; `COUNT` divides `LIMIT`.
//!
//! `for (var i = 0u; i < LIMIT; i++) { // rolled` stays a loop. Mesa from some version after 22.3 on and Microsoft's FXC unroll
//! loops whose trip count they can determine, and then compile long code several times over: a kernel whose 84 stores were 14 in
//! a loop took llvmpipe six times as long. So `LIMIT` becomes a number that depends on the number of workgroups, which the
//! kernel's `main` calls `groups`; they are never as many as the largest number. It does not depend on a parameter: Mesa inlines
//! the values of those that limit a loop, and would compile it for each batch size.

use crate::shader::words::with_words;
use std::collections::HashMap;

const MARK: &str = "// unroll";
const ROLLED: &str = "// rolled";

/// The text with every marked loop unrolled, or kept; `Err` names the limit that could not be evaluated.
pub(super) fn unroll(text: &str) -> Result<String, String> {
    let constants = constants(text);
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::with_capacity(2 * text.len());
    expand(&lines, &constants, &mut out)?;
    Ok(out)
}

/// The module's `const` values that are unsigned numbers.
pub(super) fn constants(text: &str) -> HashMap<String, u64> {
    let mut constants = HashMap::new();
    for line in text.lines() {
        if let Some((name, value)) = line.strip_prefix("const ").and_then(|rest| rest.split_once('=')) {
            let name = name.split(':').next().unwrap_or("").trim().to_string();
            if let Some(value) = evaluate(value.split(';').next().unwrap_or(""), &constants) {
                constants.insert(name, value);
            }
        }
    }
    constants
}

fn expand(lines: &[&str], constants: &HashMap<String, u64>, out: &mut String) -> Result<(), String> {
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        at += 1;
        let marked = line.split_once(MARK);
        let Some((header, by)) = marked.and_then(|(l, by)| Some((l.trim().strip_prefix("for (var ")?, by.trim())))
        else {
            match line.trim_end().strip_suffix(ROLLED) {
                Some(header) => out.push_str(&rolled(header)?),
                None => out.push_str(line),
            }
            out.push('\n');
            continue;
        };
        let variable = header.split('=').next().unwrap_or("").trim();
        let limit = header.split_once('<').and_then(|(_, rest)| rest.split(';').next()).unwrap_or("");
        let known = |expression: &str| {
            evaluate(expression, constants).ok_or_else(|| format!("the loop limit {expression} is not a constant"))
        };
        let turns = known(limit)?;
        let count = by.strip_prefix("by ").map_or(Ok(turns), known)?.min(turns);
        if turns.checked_rem(count).unwrap_or(turns) != 0 {
            return Err(format!("a loop of {turns} turns can't be written out by {count}"));
        }
        let body = &lines[at..at + body_length(&lines[at..])];
        at += body.len() + 1;
        let is_loop = count < turns;
        if is_loop {
            out.push_str(&format!("for (var {variable} = 0u; {variable} < {turns}u; {variable} += {count}u) {{\n"));
        }
        for i in 0..count {
            let value = if is_loop { format!("({variable} + {i}u)") } else { format!("{i}u") };
            let of_turn = |word| if word == variable { &*value } else { word };
            let copies: Vec<String> = body.iter().map(|line| with_words(line, of_turn)).collect();
            let copies: Vec<&str> = copies.iter().map(String::as_str).collect();
            // A separate scope, so that names declared in the body don't clash.
            out.push_str("{\n");
            expand(&copies, constants, out)?;
            out.push_str("}\n");
        }
        if is_loop {
            out.push_str("}\n");
        }
    }
    Ok(())
}

/// The head of a loop that stays one, with a limit that no compiler knows.
fn rolled(header: &str) -> Result<String, String> {
    let parts = header.split_once(" < ").and_then(|(start, rest)| Some((start, rest.split_once(';')?)));
    let (start, (limit, rest)) = parts.ok_or_else(|| format!("no limit in {header}"))?;
    Ok(format!("{start} < select({limit}, 0u, groups.x == 0xffffffffu);{}", rest.trim_end()))
}

/// Lines up to the brace that closes the loop.
fn body_length(lines: &[&str]) -> usize {
    let mut depth = 1i32;
    for (i, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        for c in code.chars() {
            depth += i32::from(c == '{') - i32::from(c == '}');
        }
        if depth <= 0 {
            return i;
        }
    }
    lines.len()
}

/// The value of an expression of unsigned numbers, names, `+ - * / %`, parentheses and `max`.
pub(super) fn evaluate(expression: &str, constants: &HashMap<String, u64>) -> Option<u64> {
    let mut parser = Parser { rest: expression.trim(), constants };
    let value = parser.sum()?;
    parser.rest.is_empty().then_some(value)
}

struct Parser<'a> {
    rest: &'a str,
    constants: &'a HashMap<String, u64>,
}

impl Parser<'_> {
    fn take(&mut self, symbols: &[char]) -> Option<char> {
        let c = self.rest.chars().next().filter(|c| symbols.contains(c))?;
        self.rest = self.rest[1..].trim_start();
        Some(c)
    }

    fn sum(&mut self) -> Option<u64> {
        let mut value = self.product()?;
        while let Some(sign) = self.take(&['+', '-']) {
            let next = self.product()?;
            value = if sign == '+' { value.checked_add(next)? } else { value.checked_sub(next)? };
        }
        Some(value)
    }

    fn product(&mut self) -> Option<u64> {
        let mut value = self.factor()?;
        while let Some(sign) = self.take(&['*', '/', '%']) {
            let next = self.factor()?;
            value = match sign {
                '*' => value.checked_mul(next)?,
                '/' => value.checked_div(next)?,
                _ => value.checked_rem(next)?,
            };
        }
        Some(value)
    }

    fn factor(&mut self) -> Option<u64> {
        if self.take(&['(']).is_some() {
            let value = self.sum()?;
            self.take(&[')'])?;
            return Some(value);
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        if word == "max" {
            self.take(&['('])?;
            let first = self.sum()?;
            self.take(&[','])?;
            let second = self.sum()?;
            self.take(&[')'])?;
            return Some(first.max(second));
        }
        word.trim_end_matches(['u', 'i']).parse().ok().or_else(|| self.constants.get(word).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_out_nested_loops() {
        let text = "const N: u32 = 2u;\nconst M: u32 = (N + 4u) / 2u;\nfor (var i = 0u; i < N; i++) { // unroll\n    let a = i;\n    for (var j = 0u; j < M - 1u; j++) { // unroll\n        s[i * 2u + j] = ij;\n    }\n}\n";
        let out = unroll(text).unwrap();
        assert_eq!(out.matches("= ij;").count(), 4);
        assert!(out.contains("s[1u * 2u + 1u] = ij;") && out.contains("let a = 0u;"));
    }

    #[test]
    fn writes_out_some_turns_of_a_loop() {
        let text = |by: &str| {
            format!("const N: u32 = 6u;\nfor (var i = 0u; i < N; i++) {{ // unroll by {by}\n    s += t[i * 2u];\n}}\n")
        };
        let out = unroll(&text("N / 3u")).unwrap();
        assert!(out.contains("for (var i = 0u; i < 6u; i += 2u) {"), "{out}");
        assert!(out.contains("s += t[(i + 0u) * 2u];") && out.contains("s += t[(i + 1u) * 2u];"), "{out}");
        assert_eq!(unroll(&text("N")).unwrap(), unroll(&text("8u")).unwrap());
        assert!(unroll(&text("N")).unwrap().contains("s += t[5u * 2u];") && !out.contains("t[5u"));
        let none = unroll(&text("2u").replace("N: u32 = 6u", "N: u32 = 0u")).unwrap();
        assert!(!none.contains("for") && !none.contains("s +="), "{none}");
        assert!(unroll(&text("4u")).unwrap_err().contains("6 turns"));
    }

    #[test]
    fn loops_that_stay_have_a_limit_that_no_compiler_knows() {
        let header = |limit: &str, mark: &str| format!("for (var i = 0u; i < {limit}; i += 2u) {{{mark}\n}}\n");
        let expected = header("select(4u * N, 0u, groups.x == 0xffffffffu)", "");
        assert_eq!(unroll(&header("4u * N", " // rolled")).unwrap(), expected);
        assert!(unroll("loop { // rolled\n}\n").is_err());
    }

    #[test]
    fn a_limit_that_is_no_constant_is_an_error() {
        assert!(unroll("for (var i = 0u; i < params.n; i++) { // unroll\n}\n").is_err());
    }
}

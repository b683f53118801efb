//! Sizes of tensors in a kernel's text: inlined, which is fastest, or read from its parameters, so that one pipeline serves them
//! all.
//!
//! A size is a number that only takes part in arithmetic on indices: a `const` of the template that [`Kernel::size`] sets, or a
//! number that [`size`] wrote into a hook. If sizes are parameters, everything that follows from them alone is computed here and
//! not by the kernel: derived `const` values, and expressions in parentheses. So is the multiplier for divisions by them, for
//! which adapters have no fast instruction.

use crate::error::{Error, Result};
use crate::number::low_word;
use crate::shader::Kernel;
use crate::shader::unroll::{constants, evaluate};
use crate::shader::words::tokens;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Quotients and remainders.
const LIBRARY: &str = wgsl!("lib/size");

/// Begins and ends a size in a hook.
pub(super) const MARK: char = '$';

/// A size in the text of a hook: `name` distinguishes it from others in the kernel, and has one value there.
pub(crate) fn size(name: &str, value: usize) -> String {
    format!("{MARK}{value}:{name}{MARK}")
}

/// A text with its sizes as numbers.
pub(super) fn written(text: &str) -> Cow<'_, str> {
    replaced(text, |value, _| format!("{value}u"))
}

/// A text without the values of its sizes.
pub(crate) fn open(text: &str) -> Cow<'_, str> {
    replaced(text, |_, name| format!("{MARK}{name}{MARK}"))
}

fn replaced(text: &str, mut replace: impl FnMut(&str, &str) -> String) -> Cow<'_, str> {
    if !text.contains(MARK) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for (at, part) in text.split(MARK).enumerate() {
        match part.split_once(':').filter(|_| at % 2 == 1) {
            Some((value, name)) => out.push_str(&replace(value, name)),
            None => out.push_str(part),
        }
    }
    Cow::Owned(out)
}

/// Names and values of sizes.
pub(crate) type Named = Vec<(String, u64)>;

/// The sizes of a kernel, in an order that is the same for all kernels with the same text apart from sizes.
pub(crate) fn of(kernel: &Kernel) -> Named {
    let mut sizes: Named = kernel.sizes.iter().map(|&(name, value)| (name.into(), value as u64)).collect();
    let texts = kernel.hooks.iter().map(|hook| &hook.1).chain([&kernel.declarations]);
    for part in texts.flat_map(|text| text.split(MARK).skip(1).step_by(2)) {
        if let Some((value, name)) = part.split_once(':')
            && sizes.iter().all(|size| size.0 != name)
        {
            sizes.push((name.to_string(), value.parse().unwrap_or(0)));
        }
    }
    sizes
}

/// Computes a kernel's parameters from its sizes.
pub(crate) struct Sizes {
    /// The constants that do not depend on them.
    constants: HashMap<String, u64>,
    /// Derived values with their expressions, in order.
    derived: Vec<(String, String)>,
    /// The expressions of the sizes that the kernel reads.
    read: Vec<String>,
}

impl Sizes {
    /// The words of the parameters: four a size, see `shaders/lib/size.wgsl`.
    pub fn words(&self, sizes: Named) -> Result<Vec<u32>> {
        let mut values = self.constants.clone();
        values.extend(sizes);
        let value = |expression: &str, values: &HashMap<String, u64>| {
            let reason = || format!("{expression} is not known from a kernel's sizes");
            evaluate(expression, values).ok_or_else(|| Error::Internal { op: "sizes", reason: reason() })
        };
        for (name, expression) in &self.derived {
            let value = value(expression, &values)?;
            values.insert(name.clone(), value);
        }
        let mut words = Vec::with_capacity(4 * self.read.len());
        for expression in &self.read {
            words.extend(divisor(low_word(value(expression, &values)?)));
        }
        Ok(words)
    }
}

/// A number and its multiplier and shifts: `n / d` is `(t + ((n - t) >> z)) >> w` for every `n`, with `t` the upper half of `n`
/// times `y` (Granlund and Montgomery, Division by Invariant Integers using Multiplication, 1994).
fn divisor(d: u32) -> [u32; 4] {
    let divisor = u64::from(d.max(1));
    let bits = divisor.next_power_of_two().trailing_zeros();
    let factor = (1u64 << 32) * ((1u64 << bits) - divisor) / divisor + 1;
    [d, low_word(factor), bits.min(1), bits.saturating_sub(1)]
}

/// A module's text with the sizes called `names` taken from its parameters, and the rule that computes these.
pub(super) fn taken_from_params(text: &str, names: &[&str]) -> Result<(String, Sizes), String> {
    let mut sizes: HashSet<String> = names.iter().map(|name| (*name).to_string()).collect();
    let mut constants = constants(text);
    let (mut derived, mut kept) = (Vec::new(), String::with_capacity(text.len()));
    // Truth values can't be words: they stay expressions.
    let mut truths: Vec<(&str, &str)> = Vec::new();
    for line in text.split_inclusive('\n') {
        let declared = line.strip_prefix("const ").and_then(|rest| rest.split_once([':', '=']));
        let value = line.split_once('=').and_then(|(_, rest)| rest.split_once(';'));
        if let (Some((name, _)), Some((value, _))) = (declared, value) {
            let name = name.trim();
            let is_size = sizes.contains(name);
            let follows = tokens(value).any(|token| sizes.contains(token));
            if is_size || follows {
                constants.remove(name);
                sizes.insert(name.to_string());
                if line.contains(": bool =") {
                    sizes.remove(name);
                    truths.push((name, value.trim()));
                } else if !is_size {
                    derived.push((name.to_string(), value.trim().to_string()));
                }
                continue;
            }
        }
        kept.push_str(line);
    }
    if !truths.is_empty() {
        let expression = |token| truths.iter().find(|truth| truth.0 == token).map(|truth| format!("({})", truth.1));
        kept = tokens(&kept).map(|token| expression(token).map_or(Cow::Borrowed(token), Cow::Owned)).collect();
    }
    let mut writer = Writer { sizes: &sizes, constants: &constants, read: Vec::new(), out: Vec::new() };
    writer.write(&kept);
    let (mut text, read) = (writer.out.concat(), writer.read);
    if !read.is_empty() {
        let start = text.find("\nstruct Params {").ok_or("the template has no Params")?;
        let end = text[start..].find('}').ok_or("Params has no end")?;
        text.insert_str(start + end, &format!("    sizes: array<vec4<u32>, {}>,\n", read.len()));
        text.insert_str(start + 1, LIBRARY);
        // Equal texts are one pipeline, so the rules of their parameters must be equal too.
        text.push_str(&format!("// Sizes: {}.\n", read.join(", ")));
    }
    Ok((text, Sizes { constants, derived, read }))
}

/// Rewrites a text token by token.
struct Writer<'a> {
    sizes: &'a HashSet<String>,
    constants: &'a HashMap<String, u64>,
    /// The expressions of the sizes found so far.
    read: Vec<String>,
    out: Vec<Cow<'a, str>>,
}

impl<'a> Writer<'a> {
    fn write(&mut self, text: &'a str) {
        let all: Vec<&'a str> = tokens(text).collect();
        let mut at = 0;
        while at < all.len() {
            let token = all[at];
            let end = self.known(&all, at);
            if let Some(end) = end {
                let expression: String = all[at..end].iter().map(|token| token.trim_matches(MARK)).collect();
                self.size(expression);
                at = end;
            } else {
                self.out.push(Cow::Borrowed(token));
                at += 1;
            }
        }
    }

    /// The end of a part that depends on sizes alone: one of them, or an expression in parentheses that don't belong to a call
    /// other than `max`.
    fn known(&self, all: &[&str], at: usize) -> Option<usize> {
        let is_size = |token: &str| token.starts_with(MARK) || self.sizes.contains(token);
        if is_size(all[at]) {
            return Some(at + 1);
        }
        let is_call = self.significant(self.out.len()).is_some_and(|before| is_operand(&self.out[before]));
        let is_max = all[at] == "max" && all.get(at + 1) == Some(&"(");
        if !is_max && (all[at] != "(" || is_call) {
            return None;
        }
        let (mut depth, mut has_size) = (0, false);
        for (end, token) in all.iter().enumerate().skip(at + usize::from(is_max)) {
            match *token {
                "(" => depth += 1,
                ")" => depth -= 1,
                "+" | "-" | "*" | "/" | "%" | "max" | "," => {}
                token if is_size(token) => has_size = true,
                token if self.constants.contains_key(token) || token.trim().is_empty() => {}
                token if token.strip_suffix('u').is_some_and(|digits| digits.parse::<u32>().is_ok()) => {}
                _ => return None,
            }
            if depth == 0 {
                return has_size.then_some(end + 1);
            }
        }
        None
    }

    /// Writes a size, as the divisor of the operand before it if it is one.
    fn size(&mut self, expression: String) {
        let at = self.read.iter().position(|read| *read == expression).unwrap_or_else(|| {
            self.read.push(expression);
            self.read.len() - 1
        });
        let size = format!("params.sizes[{at}]");
        let operator = self.significant(self.out.len());
        let function = operator.and_then(|operator| match &*self.out[operator] {
            "/" => Some("size_quotient"),
            "%" => Some("size_remainder"),
            _ => None,
        });
        let (Some(operator), Some(function)) = (operator, function) else {
            self.out.push(Cow::Owned(format!("{size}[0]")));
            return;
        };
        let start = self.dividend(operator);
        let dividend = self.out[start..operator].concat();
        self.out.truncate(start);
        self.out.push(Cow::Owned(format!("{function}({}, {size})", dividend.trim())));
    }

    /// The index of the last token before `end` that is neither space nor comment.
    fn significant(&self, end: usize) -> Option<usize> {
        self.out[..end].iter().rposition(|token| !token.trim().is_empty() && !token.starts_with("//"))
    }

    /// The start of the dividend of the division at `operator`: factors joined by `*`, `/` and `%`.
    fn dividend(&self, operator: usize) -> usize {
        let mut start = operator;
        while let Some(mut factor) = self.significant(start) {
            // A factor: a name or a number, or brackets, with the name whose arguments, index or member they are.
            loop {
                if matches!(&*self.out[factor], ")" | "]") {
                    let mut depth = 0;
                    while let Some(token) = self.out.get(factor) {
                        depth += i32::from(matches!(&**token, ")" | "]")) - i32::from(matches!(&**token, "(" | "["));
                        if depth == 0 || factor == 0 {
                            break;
                        }
                        factor -= 1;
                    }
                }
                start = factor;
                let before = self.significant(factor);
                let is_bracket = matches!(&*self.out[factor], "(" | "[");
                match before {
                    Some(before) if self.out[before] == "." => match self.significant(before) {
                        Some(owner) => factor = owner,
                        None => break,
                    },
                    Some(before) if is_bracket && is_operand(&self.out[before]) => factor = before,
                    _ => break,
                }
            }
            match self.significant(start) {
                Some(before) if matches!(&*self.out[before], "*" | "/" | "%") => start = before,
                _ => break,
            }
        }
        start
    }
}

/// True if a token ends an operand, so that a parenthesis after it begins a call's arguments.
fn is_operand(token: &str) -> bool {
    let is_keyword = matches!(token, "return" | "if" | "while" | "switch" | "for");
    !is_keyword && token.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ')' || c == ']')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "const WIDTH: u32 = 14u;\nconst TILE: u32 = 4u;\nconst TILES: u32 = (WIDTH + TILE - 1u) / TILE;\n\
        const WHOLE: bool = WIDTH % TILE == 0u;\n\
        \nstruct Params {\n    count: u32,\n}\n\nfn main() {\n    let a = b + f(c, d) * e.x[2] / WIDTH % TILES * TILE;\n    \
        let g = h / (WIDTH * TILE) - (WIDTH + 1u); // of WIDTH\n    let i = (j / 3u) % $input0_1$;\n    let k = WHOLE | l;\n}\n";

    #[test]
    fn sizes_become_parameters() {
        let (text, sizes) = taken_from_params(TEXT, &["WIDTH"]).unwrap();
        assert!(!text.contains("const WIDTH") && !text.contains("const TILES") && text.contains("const TILE:"));
        let expected =
            "let a = b + size_remainder(size_quotient(f(c, d) * e.x[2], params.sizes[0]), params.sizes[1]) * TILE;";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("let g = size_quotient(h, params.sizes[2]) - params.sizes[3][0]; // of WIDTH"), "{text}");
        assert!(text.contains("let i = size_remainder((j / 3u), params.sizes[4]);"), "{text}");
        assert!(text.contains("let k = (params.sizes[0][0] % TILE == 0u) | l;"), "{text}");
        let words = sizes.words(vec![("WIDTH".into(), 14), ("input0_1".into(), 5)]).unwrap();
        let values: Vec<u32> = words.iter().copied().step_by(4).collect();
        assert_eq!(values, [14, 4, 56, 15, 5]);
    }

    #[test]
    fn hooks_have_sizes_written_or_open() {
        let text = format!("x / {} % {}", size("a", 12), size("b", 7));
        assert_eq!(written(&text), "x / 12u % 7u");
        assert_eq!(open(&text), "x / $a$ % $b$");
    }

    /// The quotient as `size_quotient` computes it.
    fn quotient(n: u32, [_, factor, first, second]: [u32; 4]) -> u32 {
        let (low, high) = (n & 0xffff, n >> 16);
        let (factor_low, factor_high) = (factor & 0xffff, factor >> 16);
        let a = low * factor_low;
        let b = high * factor_low + (a >> 16);
        let c = low * factor_high + (b & 0xffff);
        let t = high * factor_high + (b >> 16) + (c >> 16);
        (t + ((n - t) >> first)) >> second
    }

    #[test]
    fn quotients_are_exact() {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as u32 >> (state >> 27 & 31)
        };
        let edges =
            [1, 2, 3, 7, 255, 256, 257, 65_535, 65_536, 65_537, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, u32::MAX];
        for d in edges.into_iter().chain((0..3000).map(|_| random().max(1))).collect::<Vec<_>>() {
            let words = divisor(d);
            let near =
                [0, 1, d - 1, d, d.saturating_add(1), u32::MAX / d * d, (u32::MAX / d * d).wrapping_sub(1), u32::MAX];
            for n in near.into_iter().chain((0..100).map(|_| random())).collect::<Vec<_>>() {
                assert_eq!(quotient(n, words), n / d, "{n} / {d}");
            }
        }
    }
}

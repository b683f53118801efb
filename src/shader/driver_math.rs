//! The only workaround for a driver's wrong arithmetic: replaces the functions that it gets wrong.
//!
//! SwiftShader 5.0 is such a driver. This shader shows it; it stores -0.99605 (sine of -1.483 is -0.99620), -88.03 and
//! infinity, and 0 for the logarithm of -1:
//!
//! ```wgsl
//! @group(0) @binding(0) var<storage, read_write> x: array<f32, 3>; // -1.483, 0, NaN
//! @compute @workgroup_size(1)
//! fn main() { x[0] = sin(x[0]); x[1] = log(x[1]); x[2] = exp(x[2]); }
//! ```

const LIBRARY: &str = wgsl!("lib/driver_math");
const FUNCTIONS: [&str; 6] = ["exp", "log", "log2", "sin", "cos", "tan"];

/// True if the adapter of this name needs [`repair`].
pub(crate) fn is_wrong(adapter: &str) -> bool {
    adapter.contains("SwiftShader")
}

/// The module with calls of those functions redirected to the library's, all on vectors of four if it has such, or all on
/// numbers.
pub(crate) fn repair(source: &str) -> String {
    let mut text = source.to_string();
    for function in FUNCTIONS {
        text = renamed(&text, function);
    }
    if text.len() == source.len() {
        return text;
    }
    let is_vector = source.contains("alias F = vec4<f32>;");
    let aliases = [("F", "f32"), ("I", "i32"), ("U", "u32"), ("B", "bool")].map(|(alias, number)| {
        let of = if is_vector { format!("vec4<{number}>") } else { number.to_string() };
        format!("alias driver_{alias} = {of};\n")
    });
    format!("{text}\n{}{LIBRARY}", aliases.concat())
}

fn renamed(text: &str, function: &str) -> String {
    let call = format!("{function}(");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&call) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        if !before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            out.push_str("driver_");
        }
        out.push_str(&call);
        rest = &after[call.len()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repaired_modules_are_valid() {
        let pointwise = wgsl!("plan/pointwise");
        let vectors = format!(
            "{pointwise}\nfn of_vectors(x: F) -> F {{ return tan(x) + arc_cos(x) + log2(exp(x)); }}\n\
                               fn arc_cos(x: F) -> F {{ return x; }}\n"
        );
        for source in [vectors.as_str(), wgsl!("losses/ctc_loss")] {
            let repaired = repair(source);
            assert!(repaired.contains("driver_exp(") && !repaired.contains("arc_driver"));
            let module = naga::front::wgsl::parse_str(&repaired).unwrap();
            naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all())
                .validate(&module)
                .unwrap();
        }
        assert_eq!(repair("fn main() {}"), "fn main() {}");
    }
}

//! Patterns of names.

/// True where a pattern stands for a name: `*` is any number of characters, `?` is one.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The last star, and the first character of the name that it leaves to what follows it.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (pattern, name, expected) in [
            ("layer1.*", "layer1.0.conv1.weight", true),
            ("layer1.*", "layer10.0.conv1.weight", false),
            ("*.bias", "fc.bias", true),
            ("*.bias", "fc.bias.x", false),
            ("*.bn?.*", "layer1.0.bn2.weight", true),
            ("*.bn?.*", "layer1.0.bn22.weight", false),
            ("fc.weight", "fc.weight", true),
            ("fc.weight", "fc.weights", false),
            ("*a*b*", "xxaxxaxxb", true),
            ("*a*b*", "xxbxxa", false),
            ("", "", true),
            ("", "a", false),
            ("**", "", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} and {name}");
        }
    }
}

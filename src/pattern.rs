//! Patterns of names.

use crate::error::{Error, Result};

/// True if a name matches a pattern: `*` stands for any number of characters, `?` for one.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    is_match(&pattern, &name)
}

fn is_match(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    // The last star, and the first character of the name that follows its match.
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

/// Rewrites a name that matches the pattern `from` as `to`, whose stars stand for the matches of the wild cards of `from`, in
/// order. Each star of `from` matches as little as possible.
///
/// # Errors
/// [`Error::Invalid`] if `to` has more stars than `from` has wild cards.
pub(crate) fn rename(from: &str, to: &str, name: &str) -> Option<Result<String>> {
    let (pattern, name): (Vec<char>, Vec<char>) = (from.chars().collect(), name.chars().collect());
    if !is_match(&pattern, &name) {
        return None;
    }
    let mut captured = Vec::new();
    let mut rest = &name[..];
    for (p, &c) in pattern.iter().enumerate() {
        let taken = match c {
            // Some length lets the rest match, since the whole does.
            '*' => (0..=rest.len()).find(|&length| is_match(&pattern[p + 1..], &rest[length..])).unwrap_or(rest.len()),
            _ => 1,
        };
        let (here, behind) = rest.split_at(taken);
        if matches!(c, '*' | '?') {
            captured.push(here.iter().collect::<String>());
        }
        rest = behind;
    }
    let mut captured = captured.into_iter();
    let renamed = to.chars().map(|c| if c == '*' { captured.next() } else { Some(c.to_string()) });
    Some(renamed.collect::<Option<String>>().ok_or_else(|| {
        Error::invalid("rename", format!("{to:?} has more stars than {from:?} has wild cards for them"))
    }))
}

#[cfg(test)]
mod tests {
    use super::{matches, rename};

    #[test]
    fn stars_of_a_new_name_are_those_of_the_old_one() {
        for (from, to, name, expected) in [
            ("layer?.*", "blocks.*.*", "layer1.0.conv1.weight", Some("blocks.1.0.conv1.weight")),
            ("*.norm.*", "*.bn.*", "a.norm.b.norm.c", Some("a.bn.b.norm.c")),
            ("*.gamma", "*.weight", "bn1.gamma", Some("bn1.weight")),
            ("*.gamma", "*.weight", "bn1.beta", None),
            ("fc.*", "head", "fc.weight", Some("head")),
            ("**", "*-*", "ab", Some("-ab")),
        ] {
            assert_eq!(rename(from, to, name).transpose().unwrap().as_deref(), expected, "{from} {to} {name}");
        }
        assert!(rename("a.*", "*.*", "a.b").unwrap().is_err());
    }

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

//! Short lists that mostly need no allocation.

use std::ops::Deref;

/// A list that mostly has one element.
#[derive(Debug)]
pub(crate) enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> From<Vec<T>> for OneOrMore<T> {
    fn from(mut list: Vec<T>) -> OneOrMore<T> {
        match list.pop() {
            Some(only) if list.is_empty() => OneOrMore::One(only),
            last => {
                list.extend(last);
                OneOrMore::More(list)
            }
        }
    }
}

impl<T> Deref for OneOrMore<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match self {
            OneOrMore::One(only) => std::slice::from_ref(only),
            OneOrMore::More(list) => list,
        }
    }
}

/// A list that mostly has up to two elements.
#[derive(Clone, Debug, Default)]
pub(crate) enum Few<T> {
    #[default]
    None,
    One(T),
    Two([T; 2]),
    More(Vec<T>),
}

impl<T> Few<T> {
    /// Maps each element of another list.
    pub fn of<S>(list: &[S], each: impl Fn(&S) -> T) -> Few<T> {
        match list {
            [] => Few::None,
            [only] => Few::One(each(only)),
            [first, second] => Few::Two([each(first), each(second)]),
            _ => Few::More(list.iter().map(each).collect()),
        }
    }

    /// Passes every element on.
    pub fn for_each(self, mut take: impl FnMut(T)) {
        match self {
            Few::None => {}
            Few::One(only) => take(only),
            Few::Two(both) => both.into_iter().for_each(take),
            Few::More(list) => list.into_iter().for_each(take),
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match self {
            Few::None => &[],
            Few::One(only) => std::slice::from_ref(only),
            Few::Two(both) => both,
            Few::More(list) => list,
        }
    }
}

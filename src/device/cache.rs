//! Maps that drop the entries unused for longest.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Values that can be made again, by their key. It grows until it is trimmed.
pub(crate) struct Cache<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Uses so far.
    uses: u64,
}

struct Entry<V> {
    value: V,
    /// The number of its last use.
    used: u64,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Cache<K, V> {
        Cache { entries: HashMap::new(), uses: 0 }
    }
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// The value of a key; counts as a use.
    pub fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.uses += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.uses;
        Some(&mut entry.value)
    }

    /// The value of a key, a new one if there is none; counts as a use.
    pub fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.uses += 1;
        let entry = self.entries.entry(key).or_insert_with(|| Entry { value: V::default(), used: 0 });
        entry.used = self.uses;
        &mut entry.value
    }

    /// Adds a value; counts as a use.
    pub fn insert(&mut self, key: K, value: V) {
        self.uses += 1;
        self.entries.insert(key, Entry { value, used: self.uses });
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// The values, the last used first.
    pub fn latest_first(&self) -> Vec<&V> {
        let mut entries: Vec<&Entry<V>> = self.entries.values().collect();
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.used));
        entries.into_iter().map(|entry| &entry.value).collect()
    }

    pub fn retain(&mut self, mut keeps: impl FnMut(&mut V) -> bool) {
        self.entries.retain(|_, entry| keeps(&mut entry.value));
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Leaves at most `most` values, besides those that must stay: of the others those unused for longest are dropped.
    pub fn trim(&mut self, most: usize, may_go: impl Fn(&V) -> bool) {
        let Some(surplus) = self.entries.len().checked_sub(most).filter(|surplus| *surplus > 0) else { return };
        let free = self.entries.values().filter(|entry| may_go(&entry.value));
        let mut ages: Vec<u64> = free.map(|entry| entry.used).collect();
        ages.sort_unstable();
        let Some(&last) = ages.get(surplus.min(ages.len()).wrapping_sub(1)) else { return };
        self.entries.retain(|_, entry| entry.used > last || !may_go(&entry.value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut cache: Cache<u32, u32> = Cache::default();
        (0..10).for_each(|key| cache.insert(key, key));
        cache.get(&0);
        cache.trim(4, |value| *value != 1);
        let mut left: Vec<u32> = cache.iter().map(|(key, _)| *key).collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 8, 9]);
        assert_eq!(cache.latest_first(), [&0, &9, &8, &1]);
        cache.trim(0, |value| *value > 7);
        assert_eq!(cache.len(), 2);
        cache.trim(3, |_| true);
        assert_eq!(cache.len(), 2);
    }
}

//! Files of `torch.save`: ZIP files with a pickle and a member for each storage, and the older form, in which pickles and
//! storages follow one another.

use super::content::{Content, Source};
use super::pickle::{Object, Pickle, Storage, Tensor, Value};
use super::reader::Entry;
use crate::zip::{Member, directory};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

/// The number with which files of the older form begin, in their first pickle.
pub(super) const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The longest pickle of a ZIP file that is read. Values are not in it.
const LONGEST_PICKLE: u64 = 1 << 26;

/// The most dictionaries and lists within one another.
const DEEPEST: usize = 16;

/// The tensors of a ZIP file that holds a pickle; `None` if it holds none.
pub(super) fn of_zip(file: &mut BufReader<File>, members: &[Member]) -> Result<Option<Vec<Entry>>, String> {
    let Some((folder, pickle)) =
        members.iter().find_map(|member| Some((member.name.strip_suffix("data.pkl")?, member)))
    else {
        return Ok(None);
    };
    let by_name: HashMap<&str, &Member> = members.iter().map(|member| (member.name.as_str(), member)).collect();
    let member = |name: &str| by_name.get(format!("{folder}{name}").as_str()).copied();
    if member("constants.pkl").is_some() {
        return Err("it is a TorchScript program; save its state_dict() instead".to_string());
    }
    let pickle = Pickle::read(&mut BufReader::new(pickle.read(file)?.take(LONGEST_PICKLE)))?;
    let mut order = String::new();
    if let Some(member) = member("byteorder") {
        member.read(file)?.take(16).read_to_string(&mut order).map_err(|error| error.to_string())?;
    }
    let mut sources = HashMap::new();
    let size = file.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
    let entries = tensors(&pickle)?.into_iter().map(|(name, within, tensor)| {
        let storage = &tensor.storage;
        if !sources.contains_key(&storage.key) {
            let member = member(&format!("data/{}", storage.key));
            let member = member.ok_or_else(|| format!("its storage {} is missing", storage.key))?;
            let place = match member.stored_at(file)? {
                Some(at) => (Source::File, at, member.unpacked.min(size.saturating_sub(at))),
                None => (Source::Member(member.clone()), 0, member.unpacked),
            };
            sources.insert(storage.key.clone(), place);
        }
        let (source, at, bytes) = sources[&storage.key].clone();
        entry(name, within, tensor, source, at, bytes, order == "big")
    });
    entries.collect::<Result<_, String>>().map(Some)
}

/// The tensors of a file of the older form.
pub(super) fn of_pickles(file: &mut BufReader<File>) -> Result<Vec<Entry>, String> {
    file.rewind().map_err(|error| error.to_string())?;
    let _magic = Pickle::read(file)?;
    let _version = Pickle::read(file)?;
    let system = Pickle::read(file)?;
    let big_endian = match system.object(system.root) {
        Some(Object::Dict(items)) => {
            items.iter().any(|&(key, value)| system.text(key) == Some("little_endian") && value == Value::Bool(false))
        }
        _ => false,
    };
    let pickle = Pickle::read(file)?;
    let keys = Pickle::read(file)?;
    let Some(Object::List(keys_in_order)) = keys.object(keys.root) else {
        return Err("it does not say in which order its storages are".to_string());
    };
    let mut widths: HashMap<&str, usize> = HashMap::new();
    for object in &pickle.objects {
        if let Object::Storage(Storage { key, dtype, .. }) = object {
            widths.insert(key, dtype.map_or(1, |dtype| dtype.bitsize() / 8));
        }
    }
    let size = {
        let here = file.stream_position().map_err(|error| error.to_string())?;
        let size = file.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
        file.seek(SeekFrom::Start(here)).map_err(|error| error.to_string())?;
        size
    };
    let mut places: HashMap<&str, (u64, u64)> = HashMap::new();
    for &key in keys_in_order {
        let key = keys.text(key).ok_or("one of its storages has no name")?;
        let width = *widths.get(key).ok_or_else(|| format!("nothing says of which type its storage {key} is"))?;
        let mut count = [0; 8];
        file.read_exact(&mut count).map_err(|_| format!("it is cut off before its storage {key}"))?;
        let count = if big_endian { u64::from_be_bytes(count) } else { u64::from_le_bytes(count) };
        let at = file.stream_position().map_err(|error| error.to_string())?;
        let end = count.checked_mul(width as u64).and_then(|bytes| at.checked_add(bytes)).filter(|&end| end <= size);
        let end = end.ok_or_else(|| format!("its storage {key} of {count} elements reaches beyond the file's end"))?;
        places.insert(key, (at, end - at));
        file.seek(SeekFrom::Start(end)).map_err(|error| error.to_string())?;
    }
    let entries = tensors(&pickle)?.into_iter().map(|(name, within, tensor)| {
        let place = places.get(tensor.storage.key.as_str());
        let &(at, bytes) = place.ok_or_else(|| format!("its storage {} is missing", tensor.storage.key))?;
        entry(name, within, tensor, Source::File, at, bytes, big_endian)
    });
    entries.collect()
}

/// An entry for a tensor whose storage has this many bytes at this position.
fn entry(
    name: String,
    dictionary: usize,
    tensor: &Tensor,
    source: Source,
    at: u64,
    bytes: u64,
    big_endian: bool,
) -> Result<Entry, String> {
    let Tensor { storage, dtype, offset, shape, strides } = tensor;
    let width = dtype.bitsize() / 8;
    let stored = storage.dtype.map_or(1, |dtype| dtype.bitsize() / 8);
    let needed = storage.start.checked_add(storage.length).and_then(|end| end.checked_mul(stored));
    if needed.is_none_or(|needed| needed as u64 > bytes) {
        let end = storage.start.saturating_add(storage.length);
        return Err(format!("its storage {} has {bytes} bytes, not {end} times {stored}", storage.key));
    }
    let before = (storage.start * stored + offset * width) as u64;
    let content = Content { source, offset: at + before, strides: Some(strides.clone()), big_endian };
    Ok(Entry { name, dictionary, dtype: *dtype, shape: shape.clone(), content })
}

/// Every tensor of a pickle, with its name and the length of the name's part that is the dictionary's.
fn tensors(pickle: &Pickle) -> Result<Vec<(String, usize, &Tensor)>, String> {
    let mut found: Vec<(String, usize, &Tensor)> = Vec::new();
    let mut met = HashSet::new();
    let mut waiting = vec![(String::new(), pickle.root, 0)];
    // Each dictionary counts once, however often it is referred to, so that there are no more tensors than the file
    // wrote down.
    while let Some((prefix, value, depth)) = waiting.pop() {
        if depth > DEEPEST {
            return Err(format!("more than {DEEPEST} of its dictionaries are within one another"));
        }
        let items: Vec<(String, Value)> = match (value, pickle.object(value)) {
            (Value::Object(at), Some(Object::Dict(items))) if met.insert(at) => {
                items.iter().filter_map(|&(key, value)| Some((key_of(pickle, key)?, value))).collect()
            }
            (Value::Object(at), Some(Object::List(items) | Object::Tuple(items))) if met.insert(at) => {
                items.iter().enumerate().map(|(at, &value)| (at.to_string(), value)).collect()
            }
            _ => Vec::new(),
        };
        let mut within = Vec::new();
        for (key, value) in items {
            match pickle.object(value) {
                Some(Object::Tensor(tensor)) => found.push((format!("{prefix}{key}"), prefix.len(), tensor)),
                Some(_) => within.push((format!("{prefix}{key}."), value, depth + 1)),
                None => {}
            }
        }
        waiting.extend(within.into_iter().rev());
    }
    // A key that was set twice has its last value.
    let mut last: HashMap<String, usize> = HashMap::new();
    for (at, (name, ..)) in found.iter().enumerate() {
        last.insert(name.clone(), at);
    }
    let mut at = 0..;
    found.retain(|(name, ..)| at.next() == last.get(name).copied());
    Ok(found)
}

fn key_of(pickle: &Pickle, key: Value) -> Option<String> {
    match key {
        Value::Int(number) => Some(number.to_string()),
        _ => pickle.text(key).map(str::to_string),
    }
}

/// The members of a ZIP file, where the file is one.
pub(super) fn members(file: &mut BufReader<File>) -> Result<Option<Vec<Member>>, String> {
    file.rewind().map_err(|error| error.to_string())?;
    let is_zip = file.fill_buf().map_err(|error| error.to_string())?.starts_with(b"PK\x03\x04");
    if is_zip { directory(file).map(Some) } else { Ok(None) }
}

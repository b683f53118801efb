//! Malicious files of weights, and files that were changed at random: errors, nothing executed, and no more memory than the
//! file's size justifies.

use crate::allocations::peak;
use crate::files::made;
use crate::fuzz::fuzz;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use wgrad::weights::Reader;
use wgrad::{Device, Error, Result};

/// The most memory that a reader may take for a small file.
const ALLOWED: usize = 1 << 20;

/// Reads all of a file.
fn read(path: &Path) -> Result<usize> {
    let mut reader = Reader::open(path)?;
    let names: Vec<String> = reader.entries().iter().map(|entry| entry.name().to_string()).collect();
    names.iter().try_for_each(|name| reader.read(name, &Device::reference()).map(drop))?;
    Ok(names.len())
}

#[test]
fn harm_is_refused() {
    let refused = |name: &str, text: &str, allowed: usize| {
        let path = made("weights").join(name);
        let (allocated, result) = peak(|| read(&path));
        let error = result.unwrap_err();
        assert!(matches!(error, Error::File { .. }) && error.to_string().contains(text), "{error}, not {text}");
        assert!(allocated <= allowed, "{name}: {allocated} bytes");
    };
    for (name, text) in [
        ("system.pth", "its pickle calls posix.system, which no state dictionary needs and is not run"),
        ("system4.pth", "its pickle calls posix.system,"),
        ("system_older.pth", "its pickle calls posix.system,"),
        ("eval.pth", ".eval, which no state dictionary needs"),
        ("getattr.pth", ".getattr, which no state dictionary needs"),
        ("inst.pth", "its pickle calls os.system,"),
        (
            "module.pth",
            "its pickle calls torch.nn.modules.linear.Linear, which no state dictionary needs and is not run; save",
        ),
        ("plain.pkl", "a pickle that torch.save did not write"),
        ("twice_deep.pth", "more than 16 of its dictionaries are within one another"),
        ("long_text.pth", "its pickle is cut off"),
        ("longer_text.pth", "its pickle is cut off"),
        ("long_number.pth", "its pickle is cut off"),
        ("storage_short.pth", "its storage 0 has 12 bytes, not 4 times 4"),
        ("storage_lies.pth", "its storage 0 has 16 bytes, not 1000000000000 times 4"),
        ("storage_missing.pth", "its storage 0 is missing"),
        ("beyond.pth", "reaches beyond its storage of 4 elements: offset 1, sizes [2, 2], strides [2, 1]"),
        ("stride_beyond.pth", "strides [3, 1]"),
        ("negative.pth", "has no strides"),
        ("overflow.pth", "reaches beyond its storage of 4 elements"),
        ("overflow_strides.pth", "reaches beyond its storage of 4 elements"),
        ("expanded_far.pth", "does not fit a tensor"),
        ("up.pth", "its storage ../../0 is missing"),
        ("memo.pth", "without tensors"),
        ("itself.pth", "without tensors"),
    ] {
        refused(name, text, ALLOWED);
    }
    // Each operation of a pickle may take some bytes of memory.
    for (name, text) in [("deep.pth", "are within one another"), ("deep_tuples.pth", "are within one another")] {
        refused(name, text, 100_000 * 256);
    }
    refused("bomb_pickle.pth", "has more than 4194304 operations", 1 << 28);
    refused("bomb.pth", "more than 256 times that is not unpacked", ALLOWED);
}

#[test]
fn a_name_is_no_path_and_a_dictionary_counts_once() {
    for (name, count) in [("good.pth", 1), ("up_there.pth", 1), ("twice.pth", 1)] {
        assert_eq!(read(&made("weights").join(name)).unwrap(), count, "{name}");
    }
    // PyTorch reads a member by its name in the directory; its sizes are bounded by the file's.
    assert!(read(&made("weights/member_lies.pth")).is_ok());
}

#[test]
fn files_changed_at_random() {
    let of =
        |names: &[&str]| names.iter().map(|name| fs::read(made("weights").join(name)).unwrap()).collect::<Vec<_>>();
    for (name, good) in [
        ("a.safetensors", of(&["state.safetensors"])),
        ("a.pth", of(&["zip.pth", "protocol4.pth", "deflated.pth", "good.pth", "checkpoint.pth"])),
        ("a.pt", of(&["older.pth", "checkpoint_older.pth"])),
        ("a.npz", of(&["stored.npz", "deflated.npz"])),
    ] {
        let root = TempDir::new().unwrap();
        fuzz(root.path(), name, good, ALLOWED, |folder| read(&folder.join(name)).map(drop));
    }
}

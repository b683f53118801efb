//! How much a thread has allocated at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Memory that another thread allocated may be freed here, so that the count may fall below 0 and wrap round.
fn count(freed: usize, allocated: usize) {
    let live = LIVE.get().wrapping_sub(freed).wrapping_add(allocated);
    LIVE.set(live);
    if live.cast_signed() > PEAK.get().cast_signed() {
        PEAK.set(live);
    }
}

// SAFETY: every call goes on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Layout) -> *mut u8 {
        count(0, memory.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(memory) }
    }
    unsafe fn alloc_zeroed(&self, memory: Layout) -> *mut u8 {
        count(0, memory.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(memory) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, memory: Layout) {
        count(memory.size(), 0);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, memory) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, memory: Layout, size: usize) -> *mut u8 {
        count(memory.size(), size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, memory, size) }
    }
}

/// The bytes that a function allocated at once, at most, and what it returned.
pub fn peak<T>(function: impl FnOnce() -> T) -> (usize, T) {
    let start = LIVE.get();
    PEAK.set(start);
    let result = function();
    (PEAK.get().wrapping_sub(start), result)
}

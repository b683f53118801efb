//! Counts each thread's requests to the allocator: their number, and the bytes held at once. A program declares this module
//! itself, as it has one allocator.
#![allow(dead_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Memory that another thread allocated may be freed here, so that the count may fall below 0 and wrap around.
fn note(freed: usize, allocated: usize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + u64::from(allocated > 0));
    let live = LIVE.get().wrapping_sub(freed).wrapping_add(allocated);
    LIVE.set(live);
    if live.cast_signed() > PEAK.get().cast_signed() {
        PEAK.set(live);
    }
}

// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Layout) -> *mut u8 {
        note(0, memory.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(memory) }
    }
    unsafe fn alloc_zeroed(&self, memory: Layout) -> *mut u8 {
        note(0, memory.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(memory) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, memory: Layout) {
        note(memory.size(), 0);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, memory) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, memory: Layout, size: usize) -> *mut u8 {
        note(memory.size(), size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, memory, size) }
    }
}

/// Allocations of this thread so far.
pub fn count() -> u64 {
    ALLOCATIONS.get()
}

/// The most bytes that a function held at once, and its result.
pub fn peak<T>(function: impl FnOnce() -> T) -> (usize, T) {
    let start = LIVE.get();
    PEAK.set(start);
    let result = function();
    (PEAK.get().wrapping_sub(start), result)
}

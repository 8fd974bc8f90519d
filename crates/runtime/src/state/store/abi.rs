//! What a state plugin and the engine say to each other: C types alone, so that each may be built by itself.
//!
//! The plugin's own crate includes this very file. Whatever changes here raises [`VERSION`]; an engine refuses a plugin of
//! another version. Every function answers a status; after [`FAILED`] the calling thread may ask for the reason once
//! ([`Plugin::last_error`]). No function panics or throws across the border.

use std::ffi::c_void;

/// The version of this interface.
pub const VERSION: u32 = 2;
/// The function that a plugin exports: `extern "C" fn() -> *const Plugin`, valid for ever.
pub const SYMBOL: &str = "kvick_state_plugin";

/// It was done.
pub const OK: i32 = 0;
/// There is no such key.
pub const NOT_FOUND: i32 = 1;
/// It was not done; see [`Plugin::last_error`].
pub const FAILED: i32 = -1;

/// Borrowed bytes, valid during the call alone.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// The first; not null, even where there are none.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

impl Bytes {
    /// Lends a slice for one call.
    pub fn of(slice: &[u8]) -> Bytes {
        Bytes { data: slice.as_ptr(), len: slice.len() }
    }
}

/// Takes bytes during a call.
pub type Take = unsafe extern "C" fn(context: *mut c_void, bytes: Bytes);
/// Takes an entry during a scan; `false` ends it.
pub type Visit = unsafe extern "C" fn(context: *mut c_void, key: Bytes, value: Bytes) -> bool;

/// The memory that all stores of a process share.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryOptions {
    /// Bytes for block cache and write buffers together.
    pub capacity: u64,
    /// The share of write buffers, between 0 and 1.
    pub write_buffer_ratio: f64,
    /// The share of the cache that is kept for indexes and filters, between 0 and 1.
    pub high_priority_ratio: f64,
    /// Threads that flush and compact.
    pub threads: u32,
}

/// How one store is opened. Zero stands for the store's own default.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreOptions {
    /// Bytes of a block.
    pub block_size: u64,
    /// Bytes of a block cache of its own, where the store does not share memory.
    pub block_cache: u64,
    /// Bytes of one write buffer.
    pub write_buffer_size: u64,
    /// The most write buffers at once.
    pub write_buffers: u32,
    /// Threads that flush and compact, where the store does not share memory.
    pub threads: u32,
    /// Bytes of a file of the first level that is compacted.
    pub target_file_size: u64,
    /// Bytes of that level.
    pub level_size: u64,
    /// Whether it is opened to be read alone.
    pub read_only: bool,
}

/// The functions of a plugin. Handles are its own; each is closed once, by the function for it.
#[repr(C)]
pub struct Plugin {
    /// [`VERSION`] of the plugin.
    pub version: u32,
    /// What it is, for messages: UTF-8, valid for ever.
    pub name: Bytes,
    /// Hands over why the last call of this thread failed, as UTF-8.
    pub last_error: unsafe extern "C" fn(take: Take, context: *mut c_void),
    /// Makes memory to be shared.
    pub memory_new: unsafe extern "C" fn(options: *const MemoryOptions, memory: *mut *mut c_void) -> i32,
    /// Changes its capacity.
    pub memory_resize: unsafe extern "C" fn(memory: *mut c_void, capacity: u64) -> i32,
    /// Bytes in use.
    pub memory_usage: unsafe extern "C" fn(memory: *mut c_void) -> u64,
    /// Lets go of it; stores that use it keep it.
    pub memory_free: unsafe extern "C" fn(memory: *mut c_void),
    /// Opens the store in a directory, or makes it. `memory` may be null: then the store has memory of its own.
    pub open: unsafe extern "C" fn(
        directory: Bytes,
        memory: *mut c_void,
        options: *const StoreOptions,
        store: *mut *mut c_void,
    ) -> i32,
    /// Hands over the value of a key.
    pub get: unsafe extern "C" fn(store: *mut c_void, key: Bytes, take: Take, context: *mut c_void) -> i32,
    /// Sets the value of a key.
    pub put: unsafe extern "C" fn(store: *mut c_void, key: Bytes, value: Bytes) -> i32,
    /// Adds elements to the list that is the value of a key, without reading it. A list is the number of its elements (varint:
    /// groups of seven bits, the lowest first) and then the elements, one after the other; so is what is added.
    pub append: unsafe extern "C" fn(store: *mut c_void, key: Bytes, elements: Bytes) -> i32,
    /// Removes a key.
    pub delete: unsafe extern "C" fn(store: *mut c_void, key: Bytes) -> i32,
    /// Removes all keys from `from` up to, but not including, `to`.
    pub delete_range: unsafe extern "C" fn(store: *mut c_void, from: Bytes, to: Bytes) -> i32,
    /// Several changes at once: for each `1` or `0` (put or delete), the lengths of key and value (4 bytes each, little
    /// endian), key, value.
    pub write: unsafe extern "C" fn(store: *mut c_void, changes: Bytes) -> i32,
    /// Visits the entries from `from` up to, but not including, `to` in order of their keys, as they are when it begins.
    pub scan: unsafe extern "C" fn(
        store: *mut c_void,
        from: Bytes,
        to: Bytes,
        visit: Visit,
        context: *mut c_void,
    ) -> i32,
    /// Makes a directory with all that is in the store now: links to files that do not change, and copies of small ones.
    pub checkpoint: unsafe extern "C" fn(store: *mut c_void, directory: Bytes) -> i32,
    /// Writes the write buffers into files.
    pub flush: unsafe extern "C" fn(store: *mut c_void) -> i32,
    /// About how many keys there are.
    pub keys: unsafe extern "C" fn(store: *mut c_void) -> u64,
    /// Bytes of memory in use by this store beside a shared cache.
    pub usage: unsafe extern "C" fn(store: *mut c_void) -> u64,
    /// Closes a store.
    pub close: unsafe extern "C" fn(store: *mut c_void),
}

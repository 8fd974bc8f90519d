//! The C interface: the only place with `unsafe`. Each function checks its arguments, calls [`crate::store`], keeps the
//! reason of a failure for the calling thread, and lets no panic pass.
#![allow(unsafe_code)] // Raw pointers are what a C interface consists of; every one is dereferenced in this file alone.

use crate::abi::{Bytes, FAILED, MemoryOptions, NOT_FOUND, OK, Plugin, StoreOptions, Take, VERSION, Visit};
use crate::store::{Memory, Store};
use std::cell::RefCell;
use std::ffi::{OsStr, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr;

const NAME: &str = concat!("RocksDB (plugin ", env!("CARGO_PKG_VERSION"), ")");

struct Functions(Plugin);

// SAFETY: the structure holds function pointers and a static string, and is never written.
unsafe impl Sync for Functions {}

static PLUGIN: Functions = Functions(Plugin {
    version: VERSION,
    name: Bytes { data: NAME.as_ptr(), len: NAME.len() },
    last_error,
    memory_new,
    memory_resize,
    memory_usage,
    memory_free,
    open,
    get,
    put,
    append,
    delete,
    delete_range,
    write,
    scan,
    checkpoint,
    flush,
    keys,
    usage,
    close,
});

/// The plugin's functions, for the engine ([`crate::abi::SYMBOL`]).
// SAFETY (export): the name is this plugin's own; nothing else exports it.
#[unsafe(no_mangle)]
pub extern "C" fn kvick_state_plugin() -> *const Plugin {
    &raw const PLUGIN.0
}

thread_local! {
    static LAST_ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Does something whose failure becomes a status.
fn status(act: impl FnOnce() -> Result<i32, String>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
        Err(format!("it panicked: {text}"))
    });
    outcome.unwrap_or_else(|reason| {
        LAST_ERROR.with_borrow_mut(|last| *last = reason);
        FAILED
    })
}

fn done<T>(outcome: Result<T, rocksdb::Error>) -> Result<i32, String> {
    outcome.map(|_| OK).map_err(rocksdb::Error::into_string)
}

/// # Safety
/// `bytes` must be what [`Bytes`] promises.
unsafe fn slice<'a>(bytes: Bytes) -> &'a [u8] {
    if bytes.len == 0 {
        return &[];
    }
    // SAFETY: the caller lends `len` bytes for the time of the call.
    unsafe { std::slice::from_raw_parts(bytes.data, bytes.len) }
}

/// # Safety
/// `store` must come from [`open`] and not be closed.
unsafe fn store_of<'a>(store: *mut c_void) -> Result<&'a Store, String> {
    // SAFETY: see above; RocksDB may be used by several threads at once.
    unsafe { store.cast::<Store>().as_ref() }.ok_or_else(|| "there is no store".to_string())
}

/// # Safety
/// `memory` must be null or come from [`memory_new`] and not be freed.
unsafe fn memory_of<'a>(memory: *mut c_void) -> Option<&'a Memory> {
    // SAFETY: see above.
    unsafe { memory.cast::<Memory>().as_ref() }
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

// The functions below are called through `Plugin` alone, by an engine that keeps what `abi` says: pointers are valid for
// the time of the call, handles are open. Each `unsafe` block rests on that.

unsafe extern "C" fn last_error(take: Take, context: *mut c_void) {
    let text = LAST_ERROR.take();
    // SAFETY: see above.
    unsafe { take(context, Bytes::of(text.as_bytes())) }
}

unsafe extern "C" fn memory_new(options: *const MemoryOptions, memory: *mut *mut c_void) -> i32 {
    status(|| {
        // SAFETY: see above.
        let options = unsafe { options.as_ref() }.ok_or("there are no options")?;
        let made = Memory::new(options).map_err(rocksdb::Error::into_string)?;
        // SAFETY: see above.
        unsafe { *memory = Box::into_raw(Box::new(made)).cast() };
        Ok(OK)
    })
}

unsafe extern "C" fn memory_resize(memory: *mut c_void, capacity: u64) -> i32 {
    status(|| {
        // SAFETY: see above.
        unsafe { memory_of(memory) }.ok_or("there is no memory")?.resize(capacity);
        Ok(OK)
    })
}

unsafe extern "C" fn memory_usage(memory: *mut c_void) -> u64 {
    // SAFETY: see above.
    unsafe { memory_of(memory) }.map_or(0, Memory::usage)
}

unsafe extern "C" fn memory_free(memory: *mut c_void) {
    if !memory.is_null() {
        // SAFETY: it was made by `memory_new`, and the engine frees it once.
        drop(unsafe { Box::from_raw(memory.cast::<Memory>()) });
    }
}

unsafe extern "C" fn open(
    directory: Bytes,
    memory: *mut c_void,
    options: *const StoreOptions,
    store: *mut *mut c_void,
) -> i32 {
    status(|| {
        // SAFETY: see above.
        let (directory, memory) = unsafe { (slice(directory), memory_of(memory)) };
        // SAFETY: see above.
        let options = unsafe { options.as_ref() }.ok_or("there are no options")?;
        let opened = Store::open(path(directory), memory, options).map_err(rocksdb::Error::into_string)?;
        // SAFETY: see above.
        unsafe { *store = Box::into_raw(Box::new(opened)).cast() };
        Ok(OK)
    })
}

unsafe extern "C" fn get(store: *mut c_void, key: Bytes, take: Take, context: *mut c_void) -> i32 {
    status(|| {
        // SAFETY: see above.
        let (store, key) = unsafe { (store_of(store)?, slice(key)) };
        // SAFETY: see above.
        let found = store.get(key, |value| unsafe { take(context, Bytes::of(value)) });
        found.map(|found| if found { OK } else { NOT_FOUND }).map_err(rocksdb::Error::into_string)
    })
}

unsafe extern "C" fn put(store: *mut c_void, key: Bytes, value: Bytes) -> i32 {
    // SAFETY: see above.
    status(|| unsafe { done(store_of(store)?.put(slice(key), slice(value))) })
}

unsafe extern "C" fn append(store: *mut c_void, key: Bytes, elements: Bytes) -> i32 {
    // SAFETY: see above.
    status(|| unsafe { done(store_of(store)?.append(slice(key), slice(elements))) })
}

unsafe extern "C" fn delete(store: *mut c_void, key: Bytes) -> i32 {
    // SAFETY: see above.
    status(|| unsafe { done(store_of(store)?.delete(slice(key))) })
}

unsafe extern "C" fn delete_range(store: *mut c_void, from: Bytes, to: Bytes) -> i32 {
    // SAFETY: see above.
    status(|| unsafe { done(store_of(store)?.delete_range(slice(from), slice(to))) })
}

unsafe extern "C" fn write(store: *mut c_void, changes: Bytes) -> i32 {
    status(|| {
        // SAFETY: see above.
        let (store, changes) = unsafe { (store_of(store)?, slice(changes)) };
        let changes = changes_of(changes)?;
        done(store.write(changes.into_iter()))
    })
}

type Change<'a> = (&'a [u8], Option<&'a [u8]>);

fn changes_of(mut bytes: &[u8]) -> Result<Vec<Change<'_>>, String> {
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        let (change, rest) = change_of(bytes).ok_or("a change is cut off")?;
        changes.push(change);
        bytes = rest;
    }
    Ok(changes)
}

fn change_of(bytes: &[u8]) -> Option<(Change<'_>, &[u8])> {
    let (put, rest) = bytes.split_first()?;
    let (key_len, rest) = rest.split_first_chunk::<4>()?;
    let (value_len, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_len) as usize)?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value_len) as usize)?;
    Some(((key, (*put == 1).then_some(value)), rest))
}

unsafe extern "C" fn scan(
    store: *mut c_void,
    from: Bytes,
    to: Bytes,
    visit: Visit,
    context: *mut c_void,
) -> i32 {
    status(|| {
        // SAFETY: see above.
        let (store, from, to) = unsafe { (store_of(store)?, slice(from), slice(to)) };
        // SAFETY: see above.
        done(store.scan(from, to, |key, value| unsafe { visit(context, Bytes::of(key), Bytes::of(value)) }))
    })
}

unsafe extern "C" fn checkpoint(store: *mut c_void, directory: Bytes) -> i32 {
    // SAFETY: see above.
    status(|| unsafe { done(store_of(store)?.checkpoint(path(slice(directory)))) })
}

unsafe extern "C" fn flush(store: *mut c_void) -> i32 {
    // SAFETY: see above.
    status(|| unsafe { done(store_of(store)?.flush()) })
}

unsafe extern "C" fn keys(store: *mut c_void) -> u64 {
    // SAFETY: see above.
    unsafe { store_of(store) }.map_or(0, Store::keys)
}

unsafe extern "C" fn usage(store: *mut c_void) -> u64 {
    // SAFETY: see above.
    unsafe { store_of(store) }.map_or(0, Store::usage)
}

unsafe extern "C" fn close(store: *mut c_void) {
    if !ptr::eq(store, ptr::null()) {
        // SAFETY: it was made by `open`, and the engine closes it once.
        drop(unsafe { Box::from_raw(store.cast::<Store>()) });
    }
}

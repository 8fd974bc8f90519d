//! The one place where the engine meets a plugin: a shared library, loaded once per process, behind the C interface of
//! [`super::abi`]. Everything beyond this file is safe.
#![allow(unsafe_code)] // Foreign functions are called here, and nowhere else; each call says why it may be.

use super::abi::{self, Bytes, MemoryOptions, Plugin, StoreOptions};
use super::{ByteStore, Changes};
use crate::state::StateError;
use kvick_core::launch::{PLUGINS_DIR_ENV, ROCKSDB_PLUGIN};
use std::ffi::c_void;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, PoisonError};

const NAME: &str = "rocksdb";

/// A loaded plugin. It stays loaded as long as the process lives.
#[derive(Clone, Copy)]
pub struct StatePlugin {
    functions: &'static Plugin,
}

// SAFETY: the functions may be called from any thread, several at once; the structure is never written.
unsafe impl Send for StatePlugin {}
// SAFETY: see above.
unsafe impl Sync for StatePlugin {}

fn unusable(reason: impl Into<String>) -> StateError {
    StateError::Plugin { name: NAME, reason: reason.into() }
}

/// Where a plugin may lie, in the order in which it is looked for: [`PLUGINS_DIR_ENV`]; the working directory, into which
/// files are shipped; beside the program, and in `plugins` there or one level up.
fn candidates() -> Vec<PathBuf> {
    if let Some(directory) = std::env::var_os(PLUGINS_DIR_ENV) {
        return vec![PathBuf::from(directory).join(ROCKSDB_PLUGIN)];
    }
    let mut directories = vec![PathBuf::from(".")];
    if let Some(beside) = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_path_buf())) {
        directories.extend([beside.join("plugins"), beside.join("../plugins"), beside]);
    }
    directories.into_iter().map(|directory| directory.join(ROCKSDB_PLUGIN)).collect()
}

/// The plugin that is part of the program (feature `rocksdb`).
#[cfg(feature = "rocksdb")]
fn linked() -> Option<StatePlugin> {
    let functions = kvick_state_rocksdb::border::kvick_state_plugin();
    // SAFETY: it points to a static of the very type: both crates are built from one `abi.rs`.
    Some(StatePlugin { functions: unsafe { &*functions.cast() } })
}

#[cfg(not(feature = "rocksdb"))]
fn linked() -> Option<StatePlugin> {
    None
}

impl StatePlugin {
    /// The RocksDB plugin: linked in, loaded before, or found where plugins are.
    ///
    /// # Errors
    /// [`StateError::Plugin`]: there is none, or it is of another version.
    pub fn rocksdb() -> Result<StatePlugin, StateError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = *loaded {
            return Ok(plugin);
        }
        if let Some(plugin) = linked() {
            *loaded = Some(plugin);
            return Ok(plugin);
        }
        let candidates = candidates();
        let Some(path) = candidates.iter().find(|path| path.is_file()) else {
            let places: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
            return Err(unusable(format!("there is none of {}", places.join(", "))));
        };
        let plugin = StatePlugin::load(path)?;
        *loaded = Some(plugin);
        Ok(plugin)
    }

    /// Loads a plugin from a file.
    ///
    /// # Errors
    /// [`StateError::Plugin`].
    pub fn load(path: &Path) -> Result<StatePlugin, StateError> {
        let failed = |error: libloading::Error| unusable(format!("{}: {error}", path.display()));
        // SAFETY: the file is the distribution's own plugin, or one that whoever runs the process put in its place; its
        // initialisers do what those of any linked library do.
        let library = unsafe { libloading::Library::new(path) }.map_err(failed)?;
        // SAFETY: `abi::SYMBOL` is a function of this type in every version of the interface.
        let entry =
            unsafe { library.get::<extern "C" fn() -> *const Plugin>(abi::SYMBOL) }.map_err(failed)?;
        let functions = entry();
        // SAFETY: a plugin's functions are valid for ever while it is loaded, and it is never unloaded (below). The version
        // comes first in every version of the structure, and is looked at before anything else.
        let found = unsafe { ptr::addr_of!((*functions).version).read() };
        if found != abi::VERSION {
            return Err(unusable(format!(
                "{} speaks version {found} of the plugin interface, this engine version {}: build it anew",
                path.display(),
                abi::VERSION
            )));
        }
        std::mem::forget(library);
        // SAFETY: see above; the version says that the structure is this one.
        Ok(StatePlugin { functions: unsafe { &*functions } })
    }

    /// What it is, for messages.
    pub fn name(&self) -> &'static str {
        // SAFETY: the interface promises UTF-8 that is valid for ever; should it be none, there is no name.
        let bytes = unsafe { std::slice::from_raw_parts(self.functions.name.data, self.functions.name.len) };
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn check(&self, act: &'static str, status: i32) -> Result<bool, StateError> {
        match status {
            abi::OK => Ok(true),
            abi::NOT_FOUND => Ok(false),
            _ => Err(StateError::Backend { act, reason: self.last_error() }),
        }
    }

    fn last_error(&self) -> String {
        let mut text = Vec::new();
        // SAFETY: `take` is handed `text` and used during the call alone.
        unsafe { (self.functions.last_error)(take, ptr::from_mut(&mut text).cast()) };
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Makes memory for stores to share.
    ///
    /// # Errors
    /// The plugin cannot make it.
    pub fn memory(&self, options: &MemoryOptions) -> Result<PluginMemory, StateError> {
        let mut handle = ptr::null_mut();
        // SAFETY: both pointers are valid during the call.
        let status = unsafe { (self.functions.memory_new)(options, &raw mut handle) };
        self.check("reserve memory", status)?;
        Ok(PluginMemory { plugin: *self, handle })
    }

    /// Opens the store in a directory, or makes it.
    ///
    /// # Errors
    /// The directory cannot be used, or what is in it is no store.
    pub fn open(
        &self,
        directory: &Path,
        memory: Option<&PluginMemory>,
        options: &StoreOptions,
    ) -> Result<PluginStore, StateError> {
        let mut handle = ptr::null_mut();
        let memory = memory.map_or(ptr::null_mut(), |memory| memory.handle);
        let directory = Bytes::of(directory.as_os_str().as_bytes());
        // SAFETY: all pointers are valid during the call, the memory is not freed: it is borrowed.
        let status = unsafe { (self.functions.open)(directory, memory, options, &raw mut handle) };
        self.check("open its store", status)?;
        Ok(PluginStore { plugin: *self, handle })
    }
}

static LOADED: Mutex<Option<StatePlugin>> = Mutex::new(None);

/// Adds bytes to the `Vec<u8>` behind the context.
unsafe extern "C" fn take(context: *mut c_void, bytes: Bytes) {
    // SAFETY: this file passes it together with a pointer to a vector that nothing else uses meanwhile; the bytes are
    // valid during the call.
    unsafe {
        let value = &mut *context.cast::<Vec<u8>>();
        value.extend_from_slice(std::slice::from_raw_parts(bytes.data, bytes.len));
    }
}

struct Visitor<'a> {
    visit: &'a mut dyn FnMut(&[u8], &[u8]) -> bool,
    /// A panic must not pass through the plugin: it goes on behind it.
    panic: Option<Box<dyn std::any::Any + Send>>,
}

unsafe extern "C" fn visit(context: *mut c_void, key: Bytes, value: Bytes) -> bool {
    // SAFETY: as in `take`, with a `Visitor`.
    let (visitor, key, value) = unsafe {
        let slice = |bytes: Bytes| std::slice::from_raw_parts(bytes.data, bytes.len);
        (&mut *context.cast::<Visitor<'_>>(), slice(key), slice(value))
    };
    let act = std::panic::AssertUnwindSafe(|| (visitor.visit)(key, value));
    std::panic::catch_unwind(act).unwrap_or_else(|panic| {
        visitor.panic = Some(panic);
        false
    })
}

/// Memory that stores share.
pub struct PluginMemory {
    plugin: StatePlugin,
    handle: *mut c_void,
}

// SAFETY: the interface's functions may be called from any thread, several at once; the handle is freed once, on drop.
unsafe impl Send for PluginMemory {}
// SAFETY: see above.
unsafe impl Sync for PluginMemory {}

impl PluginMemory {
    /// Changes its capacity, in bytes.
    ///
    /// # Errors
    /// The plugin cannot change it.
    pub fn resize(&self, capacity: u64) -> Result<(), StateError> {
        // SAFETY: the handle is open.
        let status = unsafe { (self.plugin.functions.memory_resize)(self.handle, capacity) };
        self.plugin.check("change its memory", status).map(|_| ())
    }

    /// Bytes in use.
    pub fn usage(&self) -> u64 {
        // SAFETY: the handle is open.
        unsafe { (self.plugin.functions.memory_usage)(self.handle) }
    }
}

impl Drop for PluginMemory {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and this is the only place that frees it.
        unsafe { (self.plugin.functions.memory_free)(self.handle) };
    }
}

/// A store of a plugin.
pub struct PluginStore {
    plugin: StatePlugin,
    handle: *mut c_void,
}

// SAFETY: as for `PluginMemory`.
unsafe impl Send for PluginStore {}
// SAFETY: as for `PluginMemory`.
unsafe impl Sync for PluginStore {}

// SAFETY of all calls below: the handle is open while the value lives; pointers are valid during the call.
impl ByteStore for PluginStore {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StateError> {
        value.clear();
        let context = ptr::from_mut(value).cast();
        // SAFETY: see above.
        let status = unsafe { (self.plugin.functions.get)(self.handle, Bytes::of(key), take, context) };
        self.plugin.check("read a value", status)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        // SAFETY: see above.
        let status = unsafe { (self.plugin.functions.put)(self.handle, Bytes::of(key), Bytes::of(value)) };
        self.plugin.check("write a value", status).map(|_| ())
    }

    fn append(&self, key: &[u8], elements: &[u8]) -> Result<(), StateError> {
        // SAFETY: see above.
        let status =
            unsafe { (self.plugin.functions.append)(self.handle, Bytes::of(key), Bytes::of(elements)) };
        self.plugin.check("add to a list", status).map(|_| ())
    }

    fn delete(&self, key: &[u8]) -> Result<(), StateError> {
        // SAFETY: see above.
        let status = unsafe { (self.plugin.functions.delete)(self.handle, Bytes::of(key)) };
        self.plugin.check("remove a value", status).map(|_| ())
    }

    fn delete_range(&self, from: &[u8], to: &[u8]) -> Result<(), StateError> {
        let (from, to) = (Bytes::of(from), Bytes::of(to));
        // SAFETY: see above.
        let status = unsafe { (self.plugin.functions.delete_range)(self.handle, from, to) };
        self.plugin.check("remove values", status).map(|_| ())
    }

    fn write(&self, changes: &Changes) -> Result<(), StateError> {
        // SAFETY: see above.
        let status = unsafe { (self.plugin.functions.write)(self.handle, Bytes::of(changes.as_bytes())) };
        self.plugin.check("write values", status).map(|_| ())
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let mut visitor = Visitor { visit: each, panic: None };
        let context = ptr::from_mut(&mut visitor).cast();
        let (from, to) = (Bytes::of(from), Bytes::of(to));
        // SAFETY: see above.
        let status = unsafe { (self.plugin.functions.scan)(self.handle, from, to, visit, context) };
        if let Some(panic) = visitor.panic {
            std::panic::resume_unwind(panic);
        }
        self.plugin.check("read values", status).map(|_| ())
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), StateError> {
        let directory = Bytes::of(directory.as_os_str().as_bytes());
        // SAFETY: see above.
        let status = unsafe { (self.plugin.functions.checkpoint)(self.handle, directory) };
        self.plugin.check("copy its store", status).map(|_| ())
    }

    fn keys(&self) -> u64 {
        // SAFETY: see above.
        unsafe { (self.plugin.functions.keys)(self.handle) }
    }

    fn memory(&self) -> u64 {
        // SAFETY: see above.
        unsafe { (self.plugin.functions.usage)(self.handle) }
    }
}

impl Drop for PluginStore {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and this is the only place that closes it.
        unsafe { (self.plugin.functions.close)(self.handle) };
    }
}

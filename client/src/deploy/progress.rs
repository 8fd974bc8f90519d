//! How an upload goes: bars where a person watches and no program writes, lines where a file is written, nothing for what was there already.

use crate::console;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use kvick_filesystem::cache;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether the terminal is the client's alone. As long as the user's program may write to it, bars would erase its lines.
#[derive(Debug, Clone)]
pub struct Screen(Arc<AtomicBool>);

impl Screen {
    /// No program runs.
    pub fn free() -> Screen {
        Screen(Arc::new(AtomicBool::new(true)))
    }

    /// A program runs.
    pub fn shared() -> Screen {
        Screen(Arc::new(AtomicBool::new(false)))
    }

    /// The program now waits for the client.
    pub fn release(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_free(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The bars of several uploads.
pub struct Progress {
    names: Vec<String>,
    screen: Screen,
    bars: Option<MultiProgress>,
    shown: Mutex<BTreeMap<usize, ProgressBar>>,
    told: Mutex<BTreeMap<usize, u64>>,
}

impl Progress {
    /// For uploads of these names.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>, screen: &Screen) -> Progress {
        let watched = std::io::stderr().is_terminal();
        Progress {
            names: names.map(str::to_string).collect(),
            screen: screen.clone(),
            bars: watched.then(MultiProgress::new),
            shown: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// One step of one upload.
    pub fn report(&self, step: cache::Progress) {
        if step.cached {
            return;
        }
        match &self.bars {
            Some(bars) if self.screen.is_free() => self.bar(bars, step).set_position(step.sent),
            Some(_) => {}
            None => self.tell_start(step),
        }
    }

    fn bar(&self, bars: &MultiProgress, step: cache::Progress) -> ProgressBar {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = shown.entry(step.upload).or_insert_with(|| {
            let style =
                ProgressStyle::with_template("{prefix:24} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}");
            let bar = bars.add(ProgressBar::new(step.length));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(self.name(step.upload));
            bar
        });
        bar.clone()
    }

    fn tell_start(&self, step: cache::Progress) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(step.upload, step.sent).is_none() {
            let message = format!("Uploading {} ({} bytes)", self.name(step.upload), step.length);
            console::info(console::DESCRIPTOR, message);
        }
    }

    fn name(&self, upload: usize) -> String {
        self.names.get(upload).cloned().unwrap_or_default()
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        if let Some(bars) = &self.bars {
            // A terminal that went away is no failure of the upload.
            let _ = bars.clear();
        }
    }
}

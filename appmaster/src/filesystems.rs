//! The file systems as this application reaches them: with the client's Hadoop properties and as the client's user.

use crate::settings::Settings;
use kvick_filesystem::{Context, FileSystems};

/// File systems for this application. Nothing is connected before it is used.
pub fn connect(settings: &Settings) -> FileSystems {
    let user = settings.spec.user.clone();
    let mut context = Context::new(settings.hadoop.clone()).with_user(user).in_background();
    if let Some(scheme) = settings.config.raw("fs.default-scheme") {
        context = context.with_default_scheme(scheme);
    }
    FileSystems::new(context)
}

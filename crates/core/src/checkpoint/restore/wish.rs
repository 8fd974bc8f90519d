//! The checkpoint or savepoint that a job is to start from, as its configuration names it (`execution.state-recovery.*`).

use super::ClaimMode;
use crate::config::{ConfigError, Configuration, options};

/// What the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreWish {
    /// Directory or metadata file.
    pub path: String,
    /// To whom the files belong.
    pub claim: ClaimMode,
    /// Whether state without operator may be left out.
    pub allow_non_restored: bool,
}

impl RestoreWish {
    /// Reads `execution.state-recovery.{path,claim-mode,ignore-unclaimed-state}`; none where no path is set.
    ///
    /// # Errors
    /// The first value that is not of its option's type.
    pub fn from_config(config: &Configuration) -> Result<Option<RestoreWish>, ConfigError> {
        let Some(path) = config.get(&options::RESTORE_PATH)?.filter(|path| !path.trim().is_empty()) else {
            return Ok(None);
        };
        let value = config.get(&options::RESTORE_CLAIM)?;
        let claim = ClaimMode::parse(&value).ok_or_else(|| ConfigError {
            key: options::RESTORE_CLAIM.key().to_string(),
            value,
            expected: "NO_CLAIM, CLAIM or LEGACY",
        })?;
        let allow_non_restored = config.get(&options::RESTORE_IGNORE)?;
        Ok(Some(RestoreWish { path: path.trim().to_string(), claim, allow_non_restored }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn wish(pairs: &[(&str, &str)]) -> Result<Option<RestoreWish>, ConfigError> {
        let entries: BTreeMap<String, String> =
            pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        RestoreWish::from_config(&Configuration(entries))
    }

    #[test]
    fn old_and_new_names_say_the_same() {
        assert_eq!(wish(&[]).unwrap(), None);
        let old = [("execution.savepoint.path", "/s"), ("execution.savepoint-restore-mode", "claim")];
        let new = [("execution.state-recovery.path", "/s"), ("execution.state-recovery.claim-mode", "CLAIM")];
        assert_eq!(wish(&old).unwrap(), wish(&new).unwrap());
        assert_eq!(wish(&old).unwrap().unwrap().claim, ClaimMode::Claim);
    }

    #[test]
    fn an_unknown_claim_mode_is_named() {
        let pairs =
            [("execution.state-recovery.path", "/s"), ("execution.state-recovery.claim-mode", "MINE")];
        assert_eq!(wish(&pairs).unwrap_err().value, "MINE");
    }
}

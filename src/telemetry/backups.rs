//! When the newest backup was taken, whoever took it: the operator or a `roster backup` of a job.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Looks into a folder at each scrape.
#[derive(Debug)]
pub(super) struct Backups {
    pub(super) folder: PathBuf,
}

impl Collector for Backups {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let gauge = ConstGauge::new(newest(&self.folder));
        gauge.encode(encoder.encode_descriptor(
            "roster_backup_timestamp",
            "When the newest file in the folder of the backups was written, since 1970; 0 where there is none",
            Some(&Unit::Seconds),
            gauge.metric_type(),
        )?)
    }
}

/// Returns when the newest backup in a folder was written: 0, long ago, where there is none or the
/// folder can't be read, so that an alert on its age fires then too.
fn newest(folder: &Path) -> f64 {
    let files = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    // One that is being written isn't a backup yet.
    let whole = files.filter(|file| !file.file_name().to_string_lossy().contains(".partial"));
    let times = whole.filter_map(|file| {
        let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
        metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()
    });
    times.max().map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_newest_whole_backup_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, seconds: u64| {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        };
        assert_eq!(newest(folder.path()), 0.0);
        file("monday.db", 1000);
        file("tuesday.db", 2000);
        file("wednesday.db.partial", 3000);
        fs::create_dir(folder.path().join("older")).unwrap();
        assert_eq!(newest(folder.path()), 2000.0);
        assert_eq!(newest(&folder.path().join("elsewhere")), 0.0);
    }
}

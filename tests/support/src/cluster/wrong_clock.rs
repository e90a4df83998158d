//! A clock that somebody set wrongly, for programs that are started with it in their way.

use std::path::PathBuf;
use std::process::Command;

use super::Organization;

pub const DAY: i64 = 86_400;

/// The clock of a machine, as a program sees it that was started with this in its way.
const WRONG_CLOCK: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *shown) {
    int failed = (int)syscall(SYS_clock_gettime, clock, shown);
    const char *file = getenv("CLOCK_OFFSET_FILE");
    char text[32] = {0};
    if (failed || clock != CLOCK_REALTIME || !file) return failed;
    int descriptor = open(file, O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) {
        if (read(descriptor, text, sizeof text - 1) > 0) shown->tv_sec += atoll(text);
        close(descriptor);
    }
    return 0;
}
"#;

/// A clock that somebody set wrongly.
pub struct WrongClock {
    library: PathBuf,
    /// A file with how many seconds it is ahead.
    pub offset: PathBuf,
}

impl WrongClock {
    /// Compiles it, so many days ahead.
    pub fn ahead_by(organization: &Organization, days: i64) -> Self {
        let [source, library, offset] =
            ["clock.c", "clock.so", "clock.offset"].map(|name| organization.file(name));
        std::fs::write(&source, WRONG_CLOCK).expect("it can be written");
        std::fs::write(&offset, (days * DAY).to_string()).expect("it can be written");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(&source)
            .status();
        assert!(built.expect("a C compiler").success());
        Self { library, offset }
    }

    /// Returns what has a program believe it.
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.library.clone()), ("CLOCK_OFFSET_FILE", self.offset.clone())]
    }
}

//! Where the binary under test, the project and the tests' files are.
//!
//! Cargo tells test binaries at compile time, but not the crates that they use.

use std::env;
use std::path::{Path, PathBuf};

/// Returns the project's folder.
#[must_use]
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("it is below tests/")
}

/// Returns the binary of the profile under test.
#[must_use]
pub fn binary() -> PathBuf {
    // Where a test binary is run without Cargo, the variable isn't there.
    env::var_os("CARGO_BIN_EXE_roster")
        .map_or_else(|| above_this_program(2).join("roster"), PathBuf::from)
}

/// Returns the folder for files that tests leave behind.
#[must_use]
pub fn target_tmp() -> PathBuf {
    above_this_program(3).join("tmp")
}

/// Test binaries and benchmarks are `target/<profile>/deps/<name>`.
fn above_this_program(steps: usize) -> PathBuf {
    let program = env::current_exe().expect("it runs");
    program.ancestors().nth(steps).expect("it is below target/").to_owned()
}

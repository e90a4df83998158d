//! Faults at teams of operators that share a store, and the oracles that judge what they leave.

pub mod content;
pub mod driver;
pub mod end;
pub mod faults;
pub mod oracles;
pub mod team;
pub mod write_audit;

//! roster (map to be completed)
pub mod api;
pub mod domain;
pub mod plan;
pub mod store;

//! Owns how a confined program reaches the network: which hosts are named, the proxy that lets them through, and the
//! bridge to it from inside.

pub mod allow;
pub mod bridge;
pub mod proxy;

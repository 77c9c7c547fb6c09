//! Vectors, simulated network and interop with real peers.

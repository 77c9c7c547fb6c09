//! Compilers of interface files (.x) to one model, and from it to Rust.

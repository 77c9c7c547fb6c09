//! The interface of the guide's tutorial, as a reader of it would include it.

include!(concat!(env!("OUT_DIR"), "/thermometer.rs"));

//! XDR over one bounded cursor: the bytes of a call.

//! Numbers of the protocol that stay what they are: every value decodes, the known ones have names.
//!
//! Read first: RFC 5531 section 9, where the enumerations stand that header fields carry. A peer may be newer
//! than we are, so a header field is never a closed enum here.

/// Defines an open number: a newtype over `u32` with named constants, shown by name where there is one.
macro_rules! number {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $name:ident = $value:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub u32);

        impl $type {
            $($(#[$vdoc])* pub const $name: Self = Self($value);)*

            /// The specification's name, if the number is a known one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }
    };
}

pub(crate) use number;

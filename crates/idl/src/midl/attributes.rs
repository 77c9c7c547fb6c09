//! Every attribute of every dialect, and what becomes of it.
//!
//! Read first: C706 section 4.2 and its table of attributes, the language reference of MIDL, the list
//! in pidl's documentation. None is ignored in silence: an attribute acts on the wire or on the code, or is listed here as without
//! effect, or is refused; one that is in no list is warned of.

/// How the text between an attribute's parentheses is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arguments {
    /// As expressions with commas between them.
    Expressions,
    /// As a type.
    Type,
    /// Not at all.
    Raw,
}

/// What becomes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It acts.
    Acts,
    /// It says something that the wire and our code do not depend on.
    NoEffect,
    /// It would change the wire in a way that nobody can follow; why.
    Refused(&'static str),
    /// It orders what pointers point to; we order it otherwise, and readers that follow the offsets do not mind.
    Forwards,
    /// Nobody knows it.
    Unknown,
}

/// How its arguments are read.
pub(super) fn arguments(name: &str) -> Arguments {
    match name {
        "size_is" | "length_is" | "first_is" | "last_is" | "max_is" | "min_is" | "switch_is"
        | "iid_is" | "range" | "case" | "value" | "subcontext" | "subcontext_size"
        | "max_recursion" | "flag" | "default_is" | "cs_stag" | "cs_drtag" | "cs_rtag" => {
            Arguments::Expressions
        }
        "switch_type" | "transmit_as" | "wire_marshal" => Arguments::Type,
        _ => Arguments::Raw,
    }
}

/// Whether only pidl has it.
pub(super) fn is_pidl(name: &str) -> bool {
    matches!(
        name,
        "nopush"
            | "nopull"
            | "nosize"
            | "noprint"
            | "gensize"
            | "nopython"
            | "flag"
            | "charset"
            | "relative"
            | "relative_short"
            | "relative_base"
            | "subcontext"
            | "subcontext_size"
            | "compression"
            | "value"
            | "nodiscriminant"
            | "enum8bit"
            | "enum16bit"
            | "bitmap8bit"
            | "bitmap16bit"
            | "bitmap32bit"
            | "bitmap64bit"
            | "todo"
            | "noopnum"
            | "to_null"
            | "skip"
            | "skip_noinit"
            | "max_recursion"
            | "pyhelper"
            | "helper"
            | "authservice"
            | "no_srv_register"
            | "noheader"
            | "null_is_ffffffff"
    )
}

// req: idl-attributes
/// What becomes of the attribute.
pub(super) fn meaning(name: &str) -> Meaning {
    match name {
        // Of interfaces.
        "uuid" | "version" | "endpoint" | "pointer_default" | "object" | "local" | "helpstring"
        | "implicit_handle" | "explicit_handle" | "auto_handle" | "ms_union" => Meaning::Acts,
        // Of operations.
        "idempotent" | "broadcast" | "maybe" | "message" | "async" | "callback" | "call_as"
        | "propget" | "propput" | "propputref" | "comm_status" | "fault_status" | "encode"
        | "decode" | "todo" | "noopnum" => Meaning::Acts,
        // Of parameters, fields and types.
        "in"
        | "out"
        | "retval"
        | "optional"
        | "ref"
        | "unique"
        | "ptr"
        | "ignore"
        | "string"
        | "size_is"
        | "length_is"
        | "first_is"
        | "last_is"
        | "max_is"
        | "min_is"
        | "range"
        | "iid_is"
        | "switch_is"
        | "switch_type"
        | "case"
        | "default"
        | "context_handle"
        | "context_handle_serialize"
        | "context_handle_noserialize"
        | "strict_context_handle"
        | "type_strict_context_handle"
        | "handle"
        | "transmit_as"
        | "represent_as"
        | "wire_marshal"
        | "user_marshal"
        | "cs_char"
        | "v1_enum" => Meaning::Acts,
        // pidl's.
        "enum8bit" | "enum16bit" | "bitmap8bit" | "bitmap16bit" | "bitmap32bit" | "bitmap64bit"
        | "charset" | "relative" | "relative_short" | "relative_base" | "subcontext"
        | "subcontext_size" | "compression" | "value" | "flag" | "nodiscriminant" | "skip"
        | "skip_noinit" | "noprint" | "public" | "nopush" | "nopull" | "noheader" => Meaning::Acts,
        _ if is_without_effect(name) => Meaning::NoEffect,
        "null_is_ffffffff" => Meaning::Refused("null pointers that are not 0 are not supported"),
        "v1_array" | "v1_string" | "v1_struct" => Meaning::Refused(
            "it asks for the form of NCS 1, which NDR does not have (C706 chapter 14); leave it out if both sides are DCE's",
        ),
        "partial_ignore" => {
            Meaning::Refused("write `unique` and `size_is`, or two operations, instead")
        }
        "pickle" => Meaning::Refused("write `encode` and `decode` in an ACF instead"),
        _ => Meaning::Unknown,
    }
}

/// What says something that neither the wire nor our code depends on.
fn is_without_effect(name: &str) -> bool {
    [LIBRARY, MEMORY, OTHER]
        .iter()
        .any(|list| list.split_ascii_whitespace().any(|it| it == name))
}

/// Of type libraries and their tools.
const LIBRARY: &str = "activatable aggregatable annotation appobject async_uuid bindable coclass composable contract
    control custom defaultbind defaultcollelem defaultvalue defaultvtable deprecated displaybind dllname dual
    entry exclusiveto helpcontext helpfile helpstringcontext helpstringdll hidden id immediatebind keyword
    lcid licensed marshaling_behavior nonbrowsable noncreatable nonextensible odl oleautomation predeclid
    progid proxy public_type readonly replaceable requestedit restricted source static threading uidefault
    usesgetlasterror vararg vi_progid";

/// Of memory, calling conventions and checks of C's stubs, and of local forms of calls.
const MEMORY: &str = "align allocate ansistring binding_callout byte_count client_alloc code const cstub
    cxx_delegate cxx_static decl_only disable_consistency_check enable_allocate exceptions extern_exceptions
    fixup force_allocate heap in_line inline interpret lambda noauto nocode nointerpret notify
    notify_flag obsolete optimize out_of_line pack reflect_deletions sstub strict
    supported_transfer_syntaxes supports typedescriptor unimplemented unsafe use_literals uselinker
    user_types wire_alignment";

/// Of character sets, which are bytes here; of pidl's own tools, and of what its C code does with a value once it has
/// been read.
const OTHER: &str =
    "authservice cs_drtag cs_rtag cs_stag cs_tag_rtn gensize helper max_recursion no_srv_register nopython
    nosize print pyhelper size to_null";

/// What becomes of one of pidl's flags, its prefix taken away.
pub(super) fn flag(name: &str) -> Meaning {
    match name {
        "NOALIGN" | "ALIGN2" | "ALIGN4" | "ALIGN8" | "BIGENDIAN" | "BIG_ENDIAN"
        | "LITTLE_ENDIAN" | "REMAINING" | "NO_NDR64" | "IS_SECRET" | "SECRET" => Meaning::Acts,
        "STR_ASCII" | "STR_UTF8" | "STR_RAW8" | "STR_LEN4" | "STR_SIZE4" | "STR_SIZE2"
        | "STR_CONFORMANT" | "STR_NULLTERM" | "STR_NOTERM" | "STR_FIXLEN15" | "STR_FIXLEN32"
        | "STR_BYTESIZE" | "STR_LARGE_SIZE" => Meaning::Acts,
        // What is read of a value in full, how it is printed, what is compressed how.
        "NO_RELATIVE_REVERSE"
        | "STR_NO_EMBEDDED_NUL"
        | "SUBCONTEXT_NO_UNREAD_BYTES"
        | "SET_VALUES"
        | "PRINT_ARRAY_HEX"
        | "PAHEX"
        | "NO_COMP"
        | "PRINT_SECRETS"
        | "PRINT_SET_VALUES"
        | "NO_COMPRESSION"
        | "INCOMPLETE_BUFFER"
        | "PAD_CHECK"
        | "OBJECT_PRESENT"
        | "REF_ALLOC" => Meaning::NoEffect,
        "RELATIVE_REVERSE" => Meaning::Forwards,
        _ => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_has_a_meaning() {
        for name in [
            "size_is", "uuid", "relative", "call_as", "v1_enum", "encode",
        ] {
            assert_eq!(meaning(name), Meaning::Acts, "{name}");
        }
        for name in [
            "helpcontext",
            "in_line",
            "out_of_line",
            "gensize",
            "dual",
            "cs_stag",
        ] {
            assert_eq!(meaning(name), Meaning::NoEffect, "{name}");
        }
        for name in [
            "null_is_ffffffff",
            "v1_array",
            "v1_string",
            "partial_ignore",
        ] {
            assert!(matches!(meaning(name), Meaning::Refused(_)), "{name}");
        }
        assert_eq!(flag("NOALIGN"), Meaning::Acts);
        assert_eq!(flag("STR_FIXLEN"), Meaning::Unknown);
        assert_eq!(meaning("sizeis"), Meaning::Unknown);
    }
}

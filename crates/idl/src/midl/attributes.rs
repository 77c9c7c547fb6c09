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
        "public"
            | "nopush"
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
        | "v1_enum"
        | "v1_array"
        | "v1_string"
        | "v1_struct"
        | "partial_ignore" => Meaning::Acts,
        // pidl's.
        "enum8bit" | "enum16bit" | "bitmap8bit" | "bitmap16bit" | "bitmap32bit" | "bitmap64bit"
        | "charset" | "relative" | "relative_short" | "relative_base" | "subcontext"
        | "subcontext_size" | "compression" | "value" | "flag" | "nodiscriminant" | "to_null"
        | "max_recursion" | "skip" | "skip_noinit" | "noprint" | "public" | "nopush" | "nopull"
        | "noheader" => Meaning::Acts,
        _ if is_without_effect(name) => Meaning::NoEffect,
        "null_is_ffffffff" => Meaning::Refused("null pointers that are not 0 are not supported"),
        "pickle" => Meaning::Refused("write `encode` and `decode` in an ACF instead"),
        _ => Meaning::Unknown,
    }
}

/// What says something that neither the wire nor our code depends on.
fn is_without_effect(name: &str) -> bool {
    // Of type libraries and their tools.
    let library = matches!(
        name,
        "aggregatable"
            | "appobject"
            | "bindable"
            | "control"
            | "custom"
            | "defaultbind"
            | "defaultcollelem"
            | "defaultvalue"
            | "defaultvtable"
            | "displaybind"
            | "dllname"
            | "dual"
            | "entry"
            | "helpcontext"
            | "helpfile"
            | "helpstringcontext"
            | "helpstringdll"
            | "hidden"
            | "id"
            | "immediatebind"
            | "lcid"
            | "licensed"
            | "nonbrowsable"
            | "noncreatable"
            | "nonextensible"
            | "odl"
            | "oleautomation"
            | "proxy"
            | "public_type"
            | "readonly"
            | "replaceable"
            | "requestedit"
            | "restricted"
            | "source"
            | "threading"
            | "uidefault"
            | "usesgetlasterror"
            | "vararg"
            | "vi_progid"
            | "progid"
            | "coclass"
            | "predeclid"
            | "async_uuid"
            | "marshaling_behavior"
            | "contract"
            | "exclusiveto"
            | "activatable"
            | "static"
            | "composable"
            | "deprecated"
            | "annotation"
            | "keyword"
    );
    // Of memory, calling conventions and checks of C's stubs, and of local forms of calls.
    let memory = matches!(
        name,
        "allocate"
            | "byte_count"
            | "force_allocate"
            | "enable_allocate"
            | "heap"
            | "in_line"
            | "out_of_line"
            | "inline"
            | "reflect_deletions"
            | "extern_exceptions"
            | "exceptions"
            | "code"
            | "nocode"
            | "client_alloc"
            | "optimize"
            | "disable_consistency_check"
            | "notify"
            | "notify_flag"
            | "unsafe"
            | "user_types"
            | "const"
            | "typedescriptor"
            | "binding_callout"
            | "use_literals"
            | "cxx_delegate"
            | "cxx_static"
            | "cstub"
            | "sstub"
            | "ansistring"
            | "align"
            | "pack"
            | "strict"
            | "noauto"
            | "supports"
            | "supported_transfer_syntaxes"
            | "uselinker"
            | "wire_alignment"
            | "lambda"
            | "interpret"
            | "nointerpret"
            | "fixup"
            | "unimplemented"
            | "decl_only"
            | "obsolete"
    );
    // Of character sets, which are bytes here; of pidl's own tools.
    let other = matches!(
        name,
        "cs_stag"
            | "cs_drtag"
            | "cs_rtag"
            | "cs_tag_rtn"
            | "gensize"
            | "nosize"
            | "nopython"
            | "helper"
            | "pyhelper"
            | "authservice"
            | "no_srv_register"
            | "print"
            | "size"
    );
    library || memory || other
}

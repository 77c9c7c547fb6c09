//! Types that everybody knows, for files whose imports are not there.
//!
//! The texts are ours, made from what the protocols' documents say about the types (MS-DTYP, MS-DCOM, MS-OAUT). They
//! come behind all other files, and what any other file defines takes precedence.

/// The files, by the names that diagnostics show.
pub(super) const FILES: &[(&str, &str)] = &[
    ("<wtypes.idl>", include_str!("prelude/wtypes.idl")),
    ("<unknwn.idl>", include_str!("prelude/unknwn.idl")),
    ("<oaidl.idl>", include_str!("prelude/oaidl.idl")),
    ("<pidl.idl>", include_str!("prelude/pidl.idl")),
];

/// Whether a file of this name is one of C's headers, full of what only a C compiler reads, whose types are among ours.
pub(super) fn is_header(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let name = name.to_ascii_lowercase();
    matches!(
        name.as_str(),
        "basetsd.h" | "windef.h" | "ntdef.h" | "lmcons.h" | "inaddr.h"
    )
}

/// Whether the types of a file of this name are among ours.
pub(super) fn is_well_known(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let name = name.to_ascii_lowercase();
    let stem = name.strip_suffix(".idl").or(name.strip_suffix(".h"));
    let stem = stem.unwrap_or(&name);
    matches!(
        stem,
        "wtypes"
            | "wtypesbase"
            | "unknwn"
            | "unknwnbase"
            | "oaidl"
            | "ocidl"
            | "objidl"
            | "objidlbase"
            | "oleidl"
            | "basetsd"
            | "ms-dtyp"
            | "ms_dtyp"
            | "dtyp"
            | "ms-dcom"
            | "ms-oaut"
            | "windef"
            | "nbase"
            | "propidl"
            | "propidlbase"
            | "servprov"
            | "rpc"
            | "lmcons"
            | "imports"
            | "idl_types"
            | "misc"
            | "inaddr"
            | "ntdef"
    )
}

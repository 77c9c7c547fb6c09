//! The statuses of faults, and their names.
//!
//! Read first: C706 appendix E (reject and fault statuses) and MS-RPCE section 2.2.2.10 with MS-ERREF (the Win32 codes
//! that Windows sends in a fault's status field). This file decides nothing.

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        $($(#[$doc])* pub const $name: u32 = $value;)*

        /// The status' name as specifications write it, if it is one of those here.
        #[must_use]
        pub fn name(status: u32) -> Option<&'static str> {
            match status {
                $($value => Some($text),)*
                _ => None,
            }
        }

        /// Every status here with its name.
        pub const ALL: &[(u32, &str)] = &[$(($value, $text)),*];
    };
}

statuses! {
    /// Access is denied: the caller is not allowed, or the call's protection is not what was agreed.
    ACCESS_DENIED = 5, "ERROR_ACCESS_DENIED";
    /// There is not enough memory.
    OUT_OF_MEMORY = 14, "ERROR_OUTOFMEMORY";
    /// The server is not available.
    SERVER_UNAVAILABLE = 0x6ba, "RPC_S_SERVER_UNAVAILABLE";
    /// The server is too busy.
    WIN32_SERVER_TOO_BUSY = 0x6bb, "RPC_S_SERVER_TOO_BUSY";
    /// There is no call of which a fragment or a cancel could be part.
    NO_CALL_ACTIVE = 0x6bd, "RPC_S_NO_CALL_ACTIVE";
    /// The call failed; it may have been executed.
    CALL_FAILED = 0x6be, "RPC_S_CALL_FAILED";
    /// The call failed and was not executed.
    CALL_FAILED_DNE = 0x6bf, "RPC_S_CALL_FAILED_DNE";
    /// A rule of the protocol was broken.
    WIN32_PROTOCOL_ERROR = 0x6c0, "RPC_S_PROTOCOL_ERROR";
    /// The transfer syntax is not supported.
    UNSUPPORTED_TRANS_SYN = 0x6c2, "RPC_S_UNSUPPORTED_TRANS_SYN";
    /// The operation's number is out of range.
    PROCNUM_OUT_OF_RANGE = 0x6d1, "RPC_S_PROCNUM_OUT_OF_RANGE";
    /// The operation cannot be done.
    CANT_PERFORM = 0x6d8, "EPT_S_CANT_PERFORM_OP";
    /// The interface is not known.
    WIN32_UNKNOWN_IF = 0x6b5, "RPC_S_UNKNOWN_IF";
    /// A null reference pointer was passed.
    NULL_REF_POINTER = 0x6f4, "RPC_X_NULL_REF_POINTER";
    /// The stub received bad data.
    BAD_STUB_DATA = 0x6f7, "RPC_X_BAD_STUB_DATA";
    /// An error of the security package.
    SEC_PKG_ERROR = 0x721, "RPC_S_SEC_PKG_ERROR";
    /// The call was cancelled.
    CALL_CANCELLED = 0x71a, "RPC_S_CALL_CANCELLED";
    /// There are no more entries, or no endpoint is registered.
    EPT_NOT_REGISTERED = 0x16c9_a0d6, "ept_s_not_registered";
    /// Communication failed.
    COMM_FAILURE = 0x1c01_0001, "nca_s_comm_failure";
    /// The operation's number is out of range.
    OP_RNG_ERROR = 0x1c01_0002, "nca_s_op_rng_error";
    /// The interface is not known.
    UNK_IF = 0x1c01_0003, "nca_s_unk_if";
    /// The server was started anew since.
    WRONG_BOOT_TIME = 0x1c01_0006, "nca_s_wrong_boot_time";
    /// A restart of the server ended the call.
    YOU_CRASHED = 0x1c01_0009, "nca_s_you_crashed";
    /// A rule of the protocol was broken.
    PROTO_ERROR = 0x1c01_000b, "nca_s_proto_error";
    /// The results are too large for the client.
    OUT_ARGS_TOO_BIG = 0x1c01_0013, "nca_s_out_args_too_big";
    /// The server is too busy.
    SERVER_TOO_BUSY = 0x1c01_0014, "nca_s_server_too_busy";
    /// The object's type is not supported.
    UNSUPPORTED_TYPE = 0x1c01_0017, "nca_s_unsupported_type";
    /// An integer was divided by zero.
    INT_DIV_BY_ZERO = 0x1c00_0001, "nca_s_fault_int_div_by_zero";
    /// An address was not valid.
    ADDR_ERROR = 0x1c00_0002, "nca_s_fault_addr_error";
    /// A floating-point number was divided by zero.
    FP_DIV_ZERO = 0x1c00_0003, "nca_s_fault_fp_div_zero";
    /// A floating-point number was too small.
    FP_UNDERFLOW = 0x1c00_0004, "nca_s_fault_fp_underflow";
    /// A floating-point number was too large.
    FP_OVERFLOW = 0x1c00_0005, "nca_s_fault_fp_overflow";
    /// A union's discriminant names no arm.
    INVALID_TAG = 0x1c00_0006, "nca_s_fault_invalid_tag";
    /// An array's bound is not valid.
    INVALID_BOUND = 0x1c00_0007, "nca_s_fault_invalid_bound";
    /// The versions of the protocol differ.
    RPC_VERSION_MISMATCH = 0x1c00_0008, "nca_s_rpc_version_mismatch";
    /// The call was rejected without a reason.
    UNSPEC_REJECT = 0x1c00_0009, "nca_s_unspec_reject";
    /// The activity is not known.
    BAD_ACTID = 0x1c00_000a, "nca_s_bad_actid";
    /// The callback that asks who the client is failed.
    WHO_ARE_YOU_FAILED = 0x1c00_000b, "nca_s_who_are_you_failed";
    /// The management call was denied.
    MANAGER_NOT_ENTERED = 0x1c00_000c, "nca_s_manager_not_entered";
    /// The call was cancelled.
    CANCEL = 0x1c00_000d, "nca_s_fault_cancel";
    /// An address was not valid.
    ILL_INST = 0x1c00_000e, "nca_s_fault_ill_inst";
    /// Another floating-point error.
    FP_ERROR = 0x1c00_000f, "nca_s_fault_fp_error";
    /// An integer was too large.
    INT_OVERFLOW = 0x1c00_0010, "nca_s_fault_int_overflow";
    /// Anything else.
    UNSPEC = 0x1c00_0012, "nca_s_fault_unspec";
    /// Communication of the server's own failed.
    REMOTE_COMM_FAILURE = 0x1c00_0013, "nca_s_fault_remote_comm_failure";
    /// A pipe that is empty was read.
    PIPE_EMPTY = 0x1c00_0014, "nca_s_fault_pipe_empty";
    /// A pipe that is closed was used.
    PIPE_CLOSED = 0x1c00_0015, "nca_s_fault_pipe_closed";
    /// Pipes were used in the wrong order.
    PIPE_ORDER = 0x1c00_0016, "nca_s_fault_pipe_order";
    /// A rule about pipes was broken.
    PIPE_DISCIPLINE = 0x1c00_0017, "nca_s_fault_pipe_discipline";
    /// Communication failed while a pipe was used.
    PIPE_COMM_ERROR = 0x1c00_0018, "nca_s_fault_pipe_comm_error";
    /// There is not enough memory for a pipe.
    PIPE_MEMORY = 0x1c00_0019, "nca_s_fault_pipe_memory";
    /// The context handle is not one of this association group, or of another kind.
    CONTEXT_MISMATCH = 0x1c00_001a, "nca_s_fault_context_mismatch";
    /// The server has not enough memory.
    REMOTE_NO_MEMORY = 0x1c00_001b, "nca_s_fault_remote_no_memory";
    /// The presentation context is not valid.
    INVALID_PRES_CONTEXT_ID = 0x1c00_001c, "nca_s_invalid_pres_context_id";
    /// The authentication level is not supported.
    UNSUPPORTED_AUTHN_LEVEL = 0x1c00_001d, "nca_s_unsupported_authn_level";
    /// A checksum is not valid.
    INVALID_CHECKSUM = 0x1c00_001f, "nca_s_invalid_checksum";
    /// A CRC is not valid.
    INVALID_CRC = 0x1c00_0020, "nca_s_invalid_crc";
    /// An exception that the interface defines.
    USER_DEFINED = 0x1c00_0021, "nca_s_fault_user_defined";
    /// A transaction could not be opened.
    TX_OPEN_FAILED = 0x1c00_0022, "nca_s_fault_tx_open_failed";
    /// Text could not be converted.
    CODESET_CONV_ERROR = 0x1c00_0023, "nca_s_fault_codeset_conv_error";
    /// The object is not known.
    OBJECT_NOT_FOUND = 0x1c00_0024, "nca_s_fault_object_not_found";
    /// A client's stub is missing.
    NO_CLIENT_STUB = 0x1c00_0025, "nca_s_fault_no_client_stub";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_status_has_one_name() {
        let values: BTreeSet<u32> = ALL.iter().map(|(value, _)| *value).collect();
        let names: BTreeSet<&str> = ALL.iter().map(|(_, name)| *name).collect();
        assert_eq!((values.len(), names.len()), (ALL.len(), ALL.len()));
        assert_eq!(name(0x1c01_000b), Some("nca_s_proto_error"));
        assert_eq!(name(0), None);
    }
}

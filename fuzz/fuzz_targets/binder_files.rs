//! Any bytes as what a binder reads from files: rpcbind's lists and the rows of its own registry. What is read is
//! written alike and is something that can be called.
#![no_main]

use farcall_binder::registry::RPCBIND;
use farcall_binder::store::{decode_element, decode_mapping};
use farcall_binder::warm;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mappings) = warm::read_rpcbind(bytes) {
        assert!(mappings.iter().all(|it| it.slot.program != RPCBIND));
        let again = warm::read_rpcbind(&warm::write_rpcbind(&mappings));
        assert_eq!(again.expect("what was written can be read"), mappings);
    }
    if let Ok(mappings) = warm::read_portmap(bytes) {
        let again = warm::read_portmap(&warm::write_portmap(&mappings));
        assert_eq!(again.expect("what was written can be read"), mappings);
    }
    if let Ok((_, mapping)) = decode_mapping(bytes) {
        assert!(!mapping.address.to_bytes().is_empty());
    }
    if let Ok((_, element)) = decode_element(bytes) {
        assert!(element.tower.endpoint().is_some());
    }
});

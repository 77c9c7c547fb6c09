//! Any bytes as a protocol tower: what is read is written alike.
#![no_main]

use farcall_dce::tower::Tower;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tower) = Tower::parse(bytes) {
        assert_eq!(tower.to_bytes(), bytes);
        let _ = (tower.interface(), tower.transfer(), tower.protseq());
        let _ = (tower.port(), tower.endpoint(), tower.address());
    }
});

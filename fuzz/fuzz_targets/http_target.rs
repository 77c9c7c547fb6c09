//! Any text as the target, the pragmas and the reason of RPC over HTTP: what is read is read again from what is written,
//! and nothing that is written can end a header.
#![no_main]

use farcall_rpch::Direction;
use farcall_rpch::http::{Pragmas, RequestHead, Resource, RpcError, StatusLine, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = StatusLine::parse(input);
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(target) = Target::parse(text) {
        assert!(target.port != 0 && !target.server.is_empty());
        assert_eq!(Target::parse(&target.to_string()).as_ref(), Ok(&target));
    }
    if let Ok(resource) = Resource::parse(text) {
        assert_eq!(
            Resource::parse(&resource.to_string()).as_ref(),
            Ok(&resource)
        );
        let head = RequestHead {
            direction: Direction::In,
            resource: &resource,
            host: text,
            content_length: 1 << 30,
            authorization: Some(text),
            absolute: text.len() % 2 == 1,
            proxy_authorization: Some(text),
            pragmas: Pragmas::parse([text]),
        };
        assert_eq!(head.emit().matches("\r\n\r\n").count(), 1);
    }
    if let Some(error) = RpcError::parse(text) {
        let said = error.to_string();
        assert!(said.len() <= 1024 && !said.contains(['\r', '\n']));
        assert_eq!(
            RpcError::parse(&said).map(|error| error.code),
            Some(error.code)
        );
    }
});

//! Any bytes as the head of a request to the proxy, and as the target in it: what passes has one meaning, and one spelling.
#![no_main]

use farcall_proxy::Target;
use farcall_proxy::guard::judge_head;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(length) = judge_head(data) {
        let text = String::from_utf8_lossy(data);
        let lower = text.to_ascii_lowercase();
        // No byte that another program could take for the end of a line or of the head, but those that are.
        assert!(!data.contains(&0));
        let lines: Vec<&str> = lower.split("\r\n").collect();
        assert!(lines.iter().all(|line| !line.contains(['\r', '\n'])), "{lower:?}");
        let headers = || lines.iter().skip(1);
        assert!(headers().all(|line| !line.starts_with([' ', '\t'])));
        assert!(headers().all(|line| !line.starts_with("transfer-encoding:")));
        let lengths: Vec<&str> = headers()
            .filter_map(|line| line.strip_prefix("content-length:"))
            .collect();
        match lengths[..] {
            [] => assert_eq!(length, 0),
            [one] => assert_eq!(one.trim().parse(), Ok(length)),
            _ => panic!("two lengths in {lower:?}"),
        }
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(target) = text.parse::<Target>() {
        let shown = target.to_string();
        assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown:?}");
        assert_eq!(shown.parse::<Target>().as_ref(), Ok(&target));
        // Addresses of IPv6 have spellings of their own.
        if !text.starts_with('[') {
            assert_eq!(shown.to_ascii_lowercase(), text.to_ascii_lowercase());
        }
    }
});

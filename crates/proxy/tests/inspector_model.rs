//! Any PDUs of both sides through the inspector: whatever it forwards, the server cannot take for an operation that the
//! policy denies, however it keeps its presentation contexts.

mod model;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn nothing_that_is_forwarded_means_a_denied_call_to_the_server(
        mut data in proptest::collection::vec(any::<u8>(), 0..300),
        begins in any::<bool>(),
        hands_over in proptest::option::of(0_usize..20),
    ) {
        if begins {
            // A bind of context 0 to the first interface, without a verifier, and its answer.
            data.splice(0..0, [1, 1, 1, 0, 0, 2, 1, 0, 3, 0xff]);
        }
        model::run(&data, hands_over);
    }
}

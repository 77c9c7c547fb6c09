//! What a call costs in memory: nothing, at either end, if it is one unprotected fragment.
#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use farcall_dce::co::client::{self, Client, ClientConfig};
use farcall_dce::co::group::Groups;
use farcall_dce::co::server::{Endpoint, Event, Floor, Interface, Server, ServerConfig};
use farcall_dce::co::stub::Stub;
use farcall_dce::seed::Seed;
use farcall_dce::syntax::{SyntaxId, Uuid};
use farcall_wire::TransmitQueue;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ECHO: SyntaxId = SyntaxId::new(Uuid::new(0x60a1_5ec5, 1, 2, [3; 8]), 1, 0);

struct Ends {
    client: Client<u32>,
    server: Server,
    now: Instant,
    up: TransmitQueue,
    down: TransmitQueue,
}

impl Ends {
    fn bound() -> Self {
        let now = Instant::now();
        let endpoint = Endpoint {
            config: ServerConfig::default(),
            interfaces: vec![Interface {
                id: ECHO,
                service: 0,
                floor: Floor::OPEN,
                pipes: &[],
            }],
            groups: Groups::new(Seed::replay(1)),
            acceptor: None,
        };
        let mut ends = Self {
            client: Client::new(ClientConfig::default(), now, &Seed::replay(2)),
            server: Server::new(Arc::new(endpoint), now, &Seed::replay(3)),
            now,
            up: TransmitQueue::new(),
            down: TransmitQueue::new(),
        };
        ends.client.bind(now, &[ECHO], None);
        ends.client.poll_transmit(&mut ends.up);
        let request = Bytes::from(ends.up.to_vec());
        ends.up.clear();
        assert!(ends.serve(&request).is_none());
        let answer = Bytes::from(ends.down.to_vec());
        ends.down.clear();
        let bound = ends.hear(&answer);
        assert!(matches!(bound, Some(client::Event::Bound(_))), "{bound:?}");
        ends
    }

    fn serve(&mut self, batch: &Bytes) -> Option<Event> {
        self.server
            .handle_bytes(self.now, batch, &mut 0, &mut self.down)
    }

    fn hear(&mut self, batch: &Bytes) -> Option<client::Event<u32>> {
        self.client.handle_bytes(self.now, batch, &mut 0)
    }

    /// A call whose bytes the client has put into its outbox.
    fn call(&mut self) {
        self.client
            .call(self.now, 0, 0, None, b"arguments", None, 7)
            .unwrap();
        self.client.poll_transmit(&mut self.up);
    }

    /// A call that the server has answered into its outbox.
    fn answer(&mut self, batch: &Bytes) {
        let Some(Event::Call(call)) = self.serve(batch) else {
            panic!("no call")
        };
        let Stub::InBatch(range) = call.stub else {
            panic!("a copy")
        };
        let arguments = batch.get(range).unwrap_or_default();
        self.server
            .reply(&call.to, arguments, &mut self.down)
            .unwrap();
    }
}

#[test]
fn a_call_in_one_fragment_allocates_nothing_at_either_end() {
    let mut ends = Ends::bound();
    for round in 0..10 {
        let region = Region::new(ALLOCATOR);
        ends.call();
        let asked = region.change().allocations;
        // The copies that stand for the network are not counted.
        let request = Bytes::from(ends.up.to_vec());
        ends.up.clear();
        let region = Region::new(ALLOCATOR);
        ends.answer(&request);
        let served = region.change().allocations;
        let reply = Bytes::from(ends.down.to_vec());
        ends.down.clear();
        let region = Region::new(ALLOCATOR);
        let response = ends.hear(&reply);
        let heard = region.change().allocations;
        assert!(matches!(
            response,
            Some(client::Event::Response { token: 7, .. })
        ));
        // The first rounds fill queues and tables that stay.
        if round > 2 {
            assert_eq!((asked, served, heard), (0, 0, 0));
        }
    }
}

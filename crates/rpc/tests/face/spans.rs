//! Spans of calls, made and served: there when somebody listens, and not otherwise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use farcall::{Client, Runtime, Server};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::with_default;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::common::{Test, add, service};

/// Notes every span of ours: its name and its fields.
#[derive(Clone)]
struct Listener {
    level: Level,
    heard: Arc<Mutex<Vec<String>>>,
    next: Arc<AtomicU64>,
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!(" {field}={value:?}");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("farcall") && *metadata.level() <= self.level
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(span.metadata().name().to_owned());
        span.record(&mut fields);
        self.heard.lock().expect("lock").push(fields.0);
        Id::from_u64(self.next.fetch_add(1, Ordering::Relaxed))
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The spans of one ADD, at a level.
fn spans(level: Level) -> Vec<String> {
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let listener = Listener {
        level,
        heard: Arc::clone(&heard),
        next: Arc::new(AtomicU64::new(1)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    with_default(listener, || {
        runtime.block_on(async {
            let server = Server::builder().serve(service(&Test::default()));
            let server = server.runtime(Runtime::Current).start().await;
            let server = server.expect("starts");
            let client = Client::in_process(&server).expect("pair");
            assert_eq!(add(&client, 1, 2).await.expect("a sum"), 3);
        });
    });
    let heard = heard.lock().expect("lock");
    heard.clone()
}

#[test]
fn calls_have_spans_at_level_debug_and_none_above() {
    assert_eq!(spans(Level::INFO), Vec::<String>::new());
    let heard = spans(Level::DEBUG);
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert_eq!(
        heard[0],
        r#"call procedure="TEST_V1.ADD" peer="in-process""#
    );
    assert!(
        heard[1].starts_with(r#"serve procedure="TEST_V1.ADD" xid="#),
        "{heard:?}"
    );
}

//! Lines over real sockets: what is read of a body, and how they end.

use super::*;
use tokio::net::TcpListener;

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let at = listener.local_addr().expect("an address");
    let (client, server) = tokio::join!(TcpStream::connect(at), listener.accept());
    (client.expect("connects"), server.expect("accepts").0)
}

fn line(socket: TcpStream, early: &'static [u8], length: u64, ends: bool) -> Box<Line> {
    Box::new(Line::new(Parts {
        socket: Socket::Plain(socket),
        early: Bytes::from_static(early),
        length,
        ends,
        manner: Manner::default(),
        held: Box::new(()),
    }))
}

/// As many bytes as `len`, however they are cut.
async fn read(line: &mut Line, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        let bytes = line.next().await;
        assert!(!bytes.is_empty(), "it ended after {}", all.len());
        all.extend_from_slice(&bytes);
    }
    all
}

#[tokio::test]
async fn a_body_is_read_to_its_length_wherever_its_bytes_were_and_not_a_byte_further() {
    let (mut client, server) = sockets().await;
    client.write_all(b"efghij").await.expect("sent");
    let mut line = line(server, b"abcd", 8, true);
    assert_eq!(read(&mut line, 8).await, b"abcdefgh");
    assert!(line.is_whole());
    assert!(
        line.next().await.is_empty(),
        "an IN channel ends with its body"
    );
}

#[tokio::test]
async fn what_stands_behind_a_body_ends_the_channel() {
    let (_client, server) = sockets().await;
    let mut early = line(server, b"abcdefGET", 6, false);
    assert_eq!(read(&mut early, 6).await, b"abcdef");
    assert!(early.next().await.is_empty(), "it came with the head");
    let (mut client, server) = sockets().await;
    let mut late = line(server, b"abcdef", 6, false);
    assert_eq!(read(&mut late, 6).await, b"abcdef");
    let waits = poll_fn(|cx| Poll::Ready(late.poll_next(cx).is_pending())).await;
    assert!(waits, "an OUT channel waits for the client's end");
    client.write_all(b"GET").await.expect("sent");
    assert!(late.next().await.is_empty(), "it came later");
}

#[tokio::test]
async fn a_client_that_goes_ends_its_channel() {
    for (length, ends) in [(100, true), (4, false)] {
        let (client, server) = sockets().await;
        let mut line = line(server, b"abcd", length, ends);
        assert_eq!(read(&mut line, 4).await, b"abcd");
        drop(client);
        assert!(line.next().await.is_empty());
    }
}

#[tokio::test]
async fn what_is_put_back_comes_first() {
    let (_client, server) = sockets().await;
    let mut line = line(server, b"abcd", 4, true);
    let mut bytes = line.next().await;
    assert!(line.is_whole());
    bytes.advance(1);
    line.put_back(bytes);
    assert!(!line.is_whole());
    line.put_back(Bytes::from_static(b"x"));
    assert_eq!(read(&mut line, 4).await, b"xbcd");
}

/// What a client gets of a line, to its end.
async fn told(manner: Manner, act: impl AsyncFnOnce(Box<Line>)) -> String {
    let (mut client, server) = sockets().await;
    let mut line = line(server, b"", 76, false);
    line.manner = Some(Box::new(manner));
    let mut told = String::new();
    let reading = async {
        client.read_to_string(&mut told).await.expect("text");
        drop(client);
    };
    tokio::join!(reading, act(line));
    let (head, date) = told.split_once("date: ").expect("a date");
    assert!(date.ends_with(" GMT\r\n\r\n"), "{date}");
    head.to_owned()
}

#[tokio::test]
async fn a_line_is_answered_once_in_the_manner_of_its_request() {
    let opened = async |mut line: Box<Line>| {
        assert!(!line.is_answered());
        let mut waiting = VecDeque::from([line.opened(1 << 30)]);
        assert!(line.is_answered());
        while !waiting.is_empty() {
            poll_fn(|cx| line.poll_send(cx, &mut waiting))
                .await
                .expect("sent");
        }
        line.refuse(5).await;
    };
    assert_eq!(
        told(Manner::default(), opened).await,
        "HTTP/1.1 200 Success\r\ncontent-type: application/rpc\r\ncontent-length: 1073741824\r\n"
    );
    let manner = Manner {
        old: true,
        closes: true,
        waits: false,
        proof: Some(HeaderValue::from_static("NTLM AA==")),
    };
    let refused = async |line: Box<Line>| line.refuse(0x6ba).await;
    assert_eq!(
        told(manner.clone(), refused).await,
        "HTTP/1.0 503 RPC Error: 6ba\r\ncontent-length: 0\r\nconnection: close\r\n"
    );
    assert_eq!(
        told(manner, opened).await,
        "HTTP/1.0 200 Success\r\ncontent-type: application/rpc\r\ncontent-length: 1073741824\r\n\
         connection: close\r\npersistent-auth: true\r\nwww-authenticate: NTLM AA==\r\n"
    );
}

#[tokio::test]
async fn many_pieces_go_at_once_and_none_is_lost_where_little_is_taken() {
    let (mut client, server) = sockets().await;
    let mut line = line(server, b"", 0, false);
    let pieces = (0..=255_u8).map(|byte| Bytes::from(vec![byte; 5_000]));
    let mut waiting: VecDeque<Bytes> = pieces.collect();
    let expected = waiting.iter().flatten().copied().collect::<Vec<u8>>();
    let writing = async {
        while !waiting.is_empty() {
            poll_fn(|cx| line.poll_send(cx, &mut waiting))
                .await
                .expect("sent");
        }
        assert!(waiting.capacity() <= KEPT);
        line.finish().await;
    };
    let mut got = Vec::new();
    let reading = async {
        client.read_to_end(&mut got).await.expect("read");
        drop(client);
    };
    tokio::join!(writing, reading);
    assert!(got == expected);
}

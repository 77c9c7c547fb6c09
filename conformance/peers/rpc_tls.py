#!/usr/bin/env python3
"""A client and a server of RPC-with-TLS, written from RFC 9289 and RFC 5531 with the TLS of OpenSSL.

It shares no line with what it is to check. `server` serves procedures 0 (nothing), 1 (echo) and 2 (add) of the demo
program and prints its port; `client` probes, upgrades, calls, and prints what it saw, one `NAME VALUE` a line. `tunnel`
carries whatever comes to a port of its own in clear to a server, under TLS: so clients that know no TLS call there.
"""

import argparse
import select
import socket
import ssl
import struct
import sys
import threading

PROGRAM, VERSION = 0x20000099, 1
CALL, REPLY = 0, 1
AUTH_NONE, AUTH_TLS = 0, 7


def words(*numbers):
    return b"".join(struct.pack(">I", number) for number in numbers)


def opaque(data):
    return words(len(data)) + data + bytes(-len(data) % 4)


def send(stream, message):
    stream.sendall(words(len(message) | 0x80000000) + message)


def exactly(stream, count):
    parts = []
    while count:
        part = stream.recv(count)
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def receive(stream):
    parts = []
    while True:
        (mark,) = struct.unpack(">I", exactly(stream, 4))
        parts.append(exactly(stream, mark & 0x7FFFFFFF))
        if mark >> 31:
            return b"".join(parts)


def context(role, arguments):
    made = ssl.SSLContext(role)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if arguments.alpn:
        made.set_alpn_protocols([arguments.alpn])
    if arguments.cert:
        made.load_cert_chain(arguments.cert, arguments.key)
    if arguments.ca:
        made.load_verify_locations(arguments.ca)
    return made


def call(xid, procedure, arguments=b"", flavor=AUTH_NONE):
    return words(xid, CALL, 2, PROGRAM, VERSION, procedure, flavor, 0, AUTH_NONE, 0) + arguments


def upgraded(arguments):
    stream = socket.create_connection(("127.0.0.1", arguments.port), timeout=20)
    send(stream, call(1, 0, flavor=AUTH_TLS))
    answer = receive(stream)
    assert answer == words(1, REPLY, 0, AUTH_NONE) + opaque(b"STARTTLS") + words(0)
    secure = context(ssl.PROTOCOL_TLS_CLIENT, arguments)
    return answer, secure.wrap_socket(stream, server_hostname="localhost")


def relay(near, arguments):
    _, far = upgraded(arguments)
    ends = {near: far, far: near}
    while True:
        # What TLS has decrypted already, no selector tells of.
        ready = [far] if far.pending() else select.select(list(ends), [], [], 60)[0]
        for end in ready:
            data = end.recv(65536)
            if not data:
                near.close()
                far.close()
                return
            ends[end].sendall(data)


def tunnel(arguments):
    listener = socket.create_server(("127.0.0.1", 0))
    print("ready", listener.getsockname()[1], flush=True)
    while True:
        near, _ = listener.accept()
        threading.Thread(target=relay, args=(near, arguments), daemon=True).start()


def client(arguments):
    answer, stream = upgraded(arguments)
    print("answer", answer.hex())
    print("version", stream.version())
    print("alpn", stream.selected_alpn_protocol())
    send(stream, call(2, 0))
    print("null", receive(stream).hex())
    send(stream, call(3, 2, struct.pack(">ii", 40, 2)))
    print("sum", receive(stream).hex())
    text = bytes(range(256)) * 16
    for xid in range(100, 200):
        send(stream, call(xid, 1, opaque(text)))
    echoed = {receive(stream) for _ in range(100)}
    wanted = {words(xid, REPLY, 0, 0, 0, 0) + opaque(text) for xid in range(100, 200)}
    print("echoes", len(echoed & wanted))
    send(stream, call(4, 0, flavor=AUTH_TLS))
    print("again", receive(stream).hex())
    stream.close()


def reply(message):
    xid, kind, version, program, number, procedure, flavor, length = struct.unpack(">8I", message[:32])
    assert (kind, version, program, number) == (CALL, 2, PROGRAM, VERSION)
    if flavor == AUTH_TLS:
        return words(xid, REPLY, 1, 1, 1)
    results = {
        0: lambda rest: b"",
        1: lambda rest: rest,
        2: lambda rest: struct.pack(">i", sum(struct.unpack(">ii", rest))),
    }
    start = 32 + length + 8
    return words(xid, REPLY, 0, AUTH_NONE, 0, 0) + results[procedure](message[start:])


def serve(stream, secure):
    try:
        probe = receive(stream)
        assert probe[4:] == call(0, 0, flavor=AUTH_TLS)[4:]
        send(stream, probe[:4] + words(REPLY, 0, AUTH_NONE) + opaque(b"STARTTLS") + words(0))
        stream = secure.wrap_socket(stream, server_side=True)
        shown = stream.getpeercert() or {}
        names = [value for part in shown.get("subject", ()) for key, value in part if key == "commonName"]
        print("client", stream.selected_alpn_protocol(), "".join(names), flush=True)
        while True:
            send(stream, reply(receive(stream)))
    except (EOFError, OSError) as error:
        print("end", error, file=sys.stderr, flush=True)


def server(arguments):
    secure = context(ssl.PROTOCOL_TLS_SERVER, arguments)
    secure.verify_mode = ssl.CERT_REQUIRED if arguments.mutual else ssl.CERT_NONE
    listener = socket.create_server(("127.0.0.1", 0))
    print("ready", listener.getsockname()[1], flush=True)
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=serve, args=(stream, secure), daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["client", "server", "tunnel"])
    parser.add_argument("--port", type=int)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--ca")
    parser.add_argument("--alpn", default="")
    parser.add_argument("--mutual", action="store_true")
    arguments = parser.parse_args()
    {"client": client, "server": server, "tunnel": tunnel}[arguments.role](arguments)


main()

"""impacket as a client of `idl/streams.idl`: pipes in stubs made by hand, in small fragments.

impacket_pipes.py PORT SYNTAX LEVEL [DOMAIN/USER%PASSWORD]

SYNTAX is ndr or ndr64; LEVEL is none, connect, packet, integrity or privacy, the last four with NTLM. impacket cuts requests
into fragments, protects them and puts responses together; it knows no pipes, so chunks are written and read here (C706 section
14.3.9 and 14.5.2, MS-RPCE section 2.2.5.3.5). Prints what it got and at the end `all well`.
"""

import struct
import sys

from impacket.dcerpc.v5 import rpcrt, transport
from impacket.uuid import uuidtup_to_bin

STREAMS = ("6f2b5d1c-8e4a-4c39-9b07-51d3ac0e7f42", "1.0")

SYNTAXES = {
    "ndr": ("8a885d04-1ceb-11c9-9fe8-08002b104860", "2.0"),
    "ndr64": ("71710533-beba-4937-8319-b5dbef9ccc36", "1.0"),
}

LEVELS = {
    "none": rpcrt.RPC_C_AUTHN_LEVEL_NONE,
    "connect": rpcrt.RPC_C_AUTHN_LEVEL_CONNECT,
    "packet": rpcrt.RPC_C_AUTHN_LEVEL_PKT,
    "integrity": rpcrt.RPC_C_AUTHN_LEVEL_PKT_INTEGRITY,
    "privacy": rpcrt.RPC_C_AUTHN_LEVEL_PKT_PRIVACY,
}


class Stub:
    """Bytes of a request, after the rules of one syntax."""

    def __init__(self, wide):
        self.wide = wide
        self.bytes = b""

    def align(self, size):
        self.bytes += bytes(-len(self.bytes) % size)

    def count(self, number):
        self.align(8 if self.wide else 4)
        self.bytes += struct.pack("<q" if self.wide else "<l", number)

    def hyper(self, number):
        self.align(8)
        self.bytes += struct.pack("<q", number)

    def text(self, text):
        data = (text + "\0").encode("utf-16le")
        for number in (len(data) // 2, 0, len(data) // 2):
            self.count(number)
        self.bytes += data

    def chunk(self, data, number, size):
        """Elements that are encoded already, so many of them, each aligned to `size`."""
        self.count(number)
        if number:
            self.align(size)
            self.bytes += data
        if self.wide:
            self.count(-number)


class Results:
    """The same, read."""

    def __init__(self, wide, data):
        self.wide = wide
        self.bytes = data
        self.at = 0

    def align(self, size):
        self.at += -self.at % size

    def take(self, form, size):
        self.align(size)
        (number,) = struct.unpack_from(form, self.bytes, self.at)
        self.at += size
        return number

    def count(self):
        return self.take("<q", 8) if self.wide else self.take("<L", 4)

    def pipe(self, size):
        """All elements of a pipe of elements of so many bytes, and how many chunks there were."""
        data, chunks = b"", 0
        while True:
            number = self.count()
            if number:
                self.align(min(size, 8))
                data += self.bytes[self.at : self.at + number * size]
                self.at += number * size
            if self.wide:
                assert self.count() == -number
            if not number:
                return data, chunks
            chunks += 1


def connect(port, syntax, level, who):
    way = transport.DCERPCTransportFactory(f"ncacn_ip_tcp:127.0.0.1[{port}]")
    if who:
        account, password = who.split("%", 1)
        domain, user = account.split("/", 1)
        way.set_credentials(user, password, domain)
    dce = way.get_dce_rpc()
    dce.set_auth_level(LEVELS[level])
    dce.connect()
    dce.bind(uuidtup_to_bin(STREAMS), transfer_syntax=SYNTAXES[syntax])
    # Fragments of fewer bytes than a chunk has, and none that ends where one does.
    dce.set_max_fragment_size(777)
    return dce


def call(dce, opnum, stub):
    dce.call(opnum, stub.bytes)
    return dce.recv()


def put(dce, wide, chunks):
    stub = Stub(wide)
    stub.text("x")
    data = bytes(i % 251 for i in range(sum(chunks)))
    at = 0
    for number in [*chunks, 0]:
        stub.chunk(data[at : at + number], number, 1)
        at += number
    results = Results(wide, call(dce, 0, stub))
    got = results.take("<L", 4), results.take("<q", 8)
    assert got == (sum(data) & 0xFFFFFFFF, len(data)), got
    print(f"Put {len(data)}")


def get(dce, wide, size):
    stub = Stub(wide)
    stub.hyper(size)
    results = Results(wide, call(dce, 1, stub))
    data, chunks = results.pipe(1)
    assert data == bytes(i % 251 for i in range(size))
    got = results.take("<L", 4), results.take("<L", 4)
    assert got == (sum(data) & 0xFFFFFFFF, 0), got
    print(f"Get {size} in {chunks} chunks")


def double(dce, wide, chunks):
    samples = [struct.pack("<Hxxxxxxd", n & 0xFFFF, n / 2) for n in range(sum(chunks))]
    stub = Stub(wide)
    at = 0
    for number in [*chunks, 0]:
        stub.chunk(b"".join(samples[at : at + number]), number, 8)
        at += number
    results = Results(wide, call(dce, 2, stub))
    data, _ = results.pipe(16)
    got = [struct.unpack_from("<d", data, 16 * n + 8)[0] for n in range(len(samples))]
    assert got == [float(n) for n in range(len(samples))], got[:5]
    assert results.take("<L", 4) == len(samples)
    print(f"Double {len(samples)}")


def main():
    port, syntax, level, *who = sys.argv[1:]
    wide = syntax == "ndr64"
    dce = connect(port, syntax, level, who[0] if who else None)
    for chunks in ([], [1], [3000, 1, 5000, 2], [1] * 50):
        put(dce, wide, chunks)
    for size in (0, 1, 30001):
        get(dce, wide, size)
    for chunks in ([], [1], [100, 3, 200]):
        double(dce, wide, chunks)
    dce.disconnect()
    print("all well")


main()

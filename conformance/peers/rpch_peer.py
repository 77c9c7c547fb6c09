"""An RPC proxy with its server, both in one, made of the specification alone, that may misbehave: what our client is tried against.

rpch_peer.py NAME=VALUE ...   prints `listening PORT`, then `violation: ...` for whatever a client must not do.

Read first: MS-RPCH sections 2.1.2 (HTTP), 2.2.3.5 (commands), 2.2.4 (PDUs), 3.2.1.5.3 (sequences); C706 chapter 12 (PDUs of calls).

  auth=none|basic|ntlm|negotiate|loop   loop: 401, whatever comes   user= password= domain=   cert= key=   TLS
  window=N      of the IN channel     out=N  OUT channels are recycled after so many bytes, by recycle=r1|r2; IN channels by in=r1|r2
  fault=NAME,…  pings chunked merged continue drip unknown-ack   what a client has to bear
                close-in-request close-out-request close-200 close-a3 close-c2 close-bind close-request cut reset   losses, one after the other
                no-200 no-c2 silent no-echo   what never comes     garbage-a3 garbage early-call lie   what makes no sense
                refuse-in (with code=HEX) refuse-late   refusals
"""

import base64
import os
import queue
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time

OPTIONS = dict(argument.split("=", 1) for argument in sys.argv[1:])
FAULTS = set(filter(None, OPTIONS.get("fault", "").split(",")))
WINDOW = int(OPTIONS.get("window", 65536))
OUT_LIFE = int(OPTIONS.get("out", 1 << 40))
RECYCLE = OPTIONS.get("recycle", "r2")
FRAGMENT = 4280
CT = struct.pack("<LL", 2, 120000)
# Command: how long its value is (section 2.2.3.5); None: it says itself.
SIZES = {0: 4, 1: 24, 2: 4, 3: 16, 4: 4, 5: 4, 6: 4, 7: 0, 8: None, 9: 0, 10: 0, 11: None, 12: 16, 13: 4, 14: 4}
RWS, FCA, COOKIE, LIFE, KA, VERSION, EMPTY, PAD, ANCE, GROUP, DEST = 0, 1, 3, 4, 5, 6, 7, 8, 10, 12, 13

printing = threading.Lock()


def say(text):
    with printing:
        print(text, flush=True)


class Violation(Exception):
    pass


class Gone(Exception):
    pass


def must(true, what):
    if not true:
        raise Violation(what)


def rts(flags, *commands):
    body = b"".join(commands)
    return struct.pack("<BBBB4sHHLHH", 5, 0, 20, 3, b"\x10\0\0\0", 20 + len(body), 0, 0, flags, len(commands)) + body


def command(number, value=b""):
    return struct.pack("<L", number) + value


def word(number, value):
    return struct.pack("<LL", number, value)


PING = rts(1)


def parse(pdu):
    """An RTS PDU as flags and commands, strictly (section 2.2.3.6)."""
    must(pdu[:8] == b"\x05\x00\x14\x03\x10\0\0\0", "the header of an RTS PDU is %s" % pdu[:8].hex())
    length, auth, call, flags, count = struct.unpack_from("<HHLHH", pdu, 8)
    must((length, auth, call) == (len(pdu), 0, 0), "lengths or call of an RTS PDU")
    commands, at = [], 20
    for _ in range(count):
        must(at + 4 <= len(pdu), "a command is cut")
        (number,) = struct.unpack_from("<L", pdu, at)
        must(number in SIZES, "command %d" % number)
        size = SIZES[number]
        if number == PAD:
            size = 4 + struct.unpack_from("<L", pdu, at + 4)[0]
        must(size is not None and at + 4 + size <= len(pdu), "command %d is cut" % number)
        commands.append((number, pdu[at + 4:at + 4 + size]))
        at += 4 + size
    must(at == len(pdu), "%d bytes behind the commands" % (len(pdu) - at))
    return flags, commands


def shape(pdu):
    flags, commands = parse(pdu)
    return flags, [number for number, _ in commands], [value for _, value in commands]


class Stream:
    """Exact reads from a socket, and writes cut as faults want it."""

    def __init__(self, sock):
        self.sock, self.buffer, self.read = sock, b"", 0
        self.writing = threading.Lock()

    def more(self):
        try:
            data = self.sock.recv(65536)
        except OSError:
            raise Gone()
        if not data:
            raise Gone()
        self.buffer += data

    def exact(self, count):
        while len(self.buffer) < count:
            self.more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        self.read += count
        return taken

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return head.decode("latin-1")

    def pdu(self):
        start = self.exact(16)
        return start + self.exact(struct.unpack_from("<H", start, 8)[0] - 16)

    def write(self, data):
        with self.writing:
            try:
                if "drip" in FAULTS:
                    for at in range(len(data)):
                        self.sock.sendall(data[at:at + 1])
                        if at < 300:
                            time.sleep(0.001)
                else:
                    self.sock.sendall(data)
            except OSError:
                raise Gone()

    def close(self, reset=False):
        try:
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Whoever reads it lets go.
            self.sock.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Out:
    """An OUT channel."""

    def __init__(self, stream, cookie):
        self.stream, self.cookie, self.sent, self.said = stream, cookie, 0, 0
        self.avail, self.window, self.held = 0, 0, b""
        self.open = threading.Event()

    def head(self):
        length = "Transfer-Encoding: chunked" if "chunked" in FAULTS else "Content-Length: 1073741824"
        self.raw(("HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\n%s\r\n\r\n" % length).encode())

    def raw(self, data):
        if "merged" in FAULTS and len(self.held) + len(data) < 400:
            self.held += data
            return
        data, self.held = self.held + data, b""
        self.stream.write(data)

    def flush(self):
        data, self.held = self.held, b""
        if data:
            self.stream.write(data)

    def put(self, pdu):
        self.said += len(pdu)
        if "chunked" not in FAULTS:
            return self.raw(pdu)
        for at in range(0, len(pdu), 999):
            part = pdu[at:at + 999]
            self.raw(b"%x\r\n%s\r\n" % (len(part), part))


class Virtual:
    """A virtual connection."""

    every, table = {}, threading.Lock()

    @classmethod
    def named(cls, cookie):
        with cls.table:
            if cookie not in cls.every:
                cls.every[cookie] = cls(cookie)
            return cls.every[cookie]

    def __init__(self, cookie):
        self.cookie, self.lock = cookie, threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.out = self.next_out = None
        self.in_cookie = None
        self.in_done = {}
        self.plugged = self.over = self.wants = False
        self.a7 = self.first_word = False
        self.kept = []
        self.received = self.consumed = self.advertised = 0
        self.work, self.assembled, self.answered = queue.Queue(), {}, 0
        self.recycled = [0, 0]
        self.contexts = {}
        threading.Thread(target=self.serve, daemon=True).start()

    # Opening (section 3.2.1.5.3.1).

    def begin_out(self, out):
        with self.changed:
            self.out = out
            self.changed.notify_all()
        if "no-200" in FAULTS:
            return
        out.head()
        if "close-200" in FAULTS:
            self.end()
        if "garbage-a3" in FAULTS:
            out.raw(rts(0, word(99, 1)))
        if "pings" in FAULTS:
            out.put(PING)
        out.put(rts(0, CT))
        if "close-a3" in FAULTS:
            self.end()
        if "pings" in FAULTS:
            out.put(PING)
            out.put(PING)
        out.open.set()

    def begin_in(self, cookie):
        with self.changed:
            self.in_cookie, self.received, self.consumed, self.advertised = cookie, 0, 0, WINDOW
            while self.out is None and not self.over:
                self.changed.wait()
        self.out.open.wait(10)
        if "no-c2" in FAULTS:
            return
        if "early-call" in FAULTS:
            self.out.put(struct.pack("<BBBB4sHHL", 5, 0, 2, 3, b"\x10\0\0\0", 24, 0, 1) + bytes(8))
        self.out.put(rts(0, word(VERSION, 1), word(RWS, WINDOW), CT))
        self.out.flush()
        if "close-c2" in FAULTS:
            self.end()

    def tell(self, pdu):
        """An RTS PDU for the client, which waits while the OUT channel is plugged."""
        if self.plugged:
            self.kept.append(pdu)
        else:
            self.out.put(pdu)
            self.out.flush()

    # RTS PDUs that come on the IN channel.

    def take_rts(self, pdu, stream):
        flags, numbers, values = shape(pdu)
        say("rts " + pdu.hex())
        with self.changed:
            if (flags, numbers) == (2, [DEST, FCA]):
                must(values[0] == struct.pack("<L", 3), "an acknowledgement that is not for the outbound proxy")
                received, window = struct.unpack_from("<LL", values[1])
                for out in (self.out, self.next_out):
                    if out and out.cookie == values[1][8:]:
                        must(received <= out.sent, "acknowledges %d of %d bytes" % (received, out.sent))
                        must(window <= out.window, "a window of %d where %d was offered" % (window, out.window))
                        out.avail = window - (out.sent - received)
                        self.changed.notify_all()
            elif (flags, numbers) == (1, []):
                say("ping")
            elif (flags, numbers) == (2, [KA]):
                say("keep-alive")
            elif (flags, numbers) in ((0x10, [DEST, COOKIE]), (0x10, [DEST, COOKIE, VERSION])):
                must(values[0] == struct.pack("<L", 2), "OUT_R1/A7 or OUT_R2/A7 that is not for the server")
                must(self.next_out and values[1] == self.next_out.cookie, "OUT_R1/A7 or OUT_R2/A7 of another channel")
                must((RECYCLE == "r2") == (len(numbers) == 3), "the A7 of the other sequence")
                if RECYCLE == "r1":
                    self.out.put(rts(0, command(ANCE)))
                    self.out.flush()
                self.a7 = True
                self.switch()
            elif (flags, numbers) == (0, [COOKIE]):
                must(self.in_cookie and values[0] in self.in_done, "IN_R1/A5 with another cookie")
                self.received = self.consumed = 0
                self.advertised, self.in_cookie = WINDOW, values[0]
                self.in_done[values[0]].set()
                self.recycled[0] += 1
                say("recycled in")
                stream.close()
            else:
                raise Violation("an RTS PDU with flags %#x and commands %s" % (flags, numbers))

    # Recycling of OUT channels (sections 3.2.1.5.3.4 and 3.2.1.5.3.5).

    def successor(self, out):
        with self.changed:
            must(self.wants, "a successor that nobody asked for")
            self.next_out = out
            if RECYCLE == "r1":
                self.out.put(rts(0x10, word(DEST, 0), word(VERSION, 1), CT))
            else:
                self.out.put(rts(0, word(DEST, 0), command(ANCE)))
            self.out.flush()

    def first_of_successor(self, pdu):
        say("rts " + pdu.hex())
        flags, numbers, _ = shape(pdu)
        if RECYCLE == "r1":
            must((flags, numbers) == (0, [ANCE]), "no OUT_R1/A11: %#x %s" % (flags, numbers))
        else:
            must(flags == 1 and numbers in ([EMPTY], [PAD]) and len(pdu) == 24, "no OUT_R2/C1: %#x %s" % (flags, numbers))
        with self.changed:
            self.first_word = True
            self.switch()

    def switch(self):
        """When both the IN channel and the successor have said that it may begin."""
        if RECYCLE == "r2" and self.a7 and not self.plugged:
            self.out.put(rts(0x20, command(ANCE)))
            self.out.flush()
            self.plugged = True
        if RECYCLE == "r1" and self.a7:
            self.plugged = True
        if not (self.a7 and self.first_word):
            return
        self.out, self.next_out = self.next_out, None
        self.plugged = self.wants = self.a7 = self.first_word = False
        self.out.head()
        for pdu in self.kept:
            self.out.put(pdu)
        self.kept = []
        self.out.flush()
        self.recycled[1] += 1
        say("recycled out")
        self.changed.notify_all()

    # Calls.

    def take_call(self, pdu):
        with self.changed:
            self.received += len(pdu)
            self.advertised -= len(pdu)
            must(self.advertised >= 0, "more than the window holds")
            self.work.put((pdu, self.in_cookie))

    def consumed_one(self, pdu, came):
        with self.changed:
            if came != self.in_cookie:
                return
            self.consumed += len(pdu)
            free = WINDOW - (self.received - self.consumed)
            if "unknown-ack" in FAULTS:
                self.tell(rts(2, command(FCA, struct.pack("<LL", 1 << 30, 5) + b"\x66" * 16)))
            if "lie" in FAULTS:
                self.tell(rts(2, command(FCA, struct.pack("<LL", 0, WINDOW * 2) + self.in_cookie)))
            if free - self.advertised >= WINDOW // 2 or self.advertised < FRAGMENT:
                self.advertised = free
                self.tell(rts(2, command(FCA, struct.pack("<LL", self.received, free) + self.in_cookie)))

    def serve(self):
        try:
            while True:
                pdu, came = self.work.get()
                if pdu is None:
                    return
                self.consumed_one(pdu, came)
                for answer in self.answer(pdu):
                    self.send(answer)
        except Gone:
            self.finish()
        except Violation as violation:
            say("violation: %s" % violation)
            self.finish()

    def send(self, pdu):
        with self.changed:
            out = self.out
            while not self.over and (self.plugged or self.out.avail < len(pdu)):
                if not self.changed.wait(10):
                    say("violation: no acknowledgement for 10 s")
                    return self.end()
            if self.over:
                raise Gone()
            out = self.out
            out.avail -= len(pdu)
            out.sent += len(pdu)
            if "pings" in FAULTS:
                out.put(PING)
            if "cut" in FAULTS and out.said > 20000:
                out.raw(pdu[:len(pdu) // 2])
                return self.end()
            if "garbage" in FAULTS and out.said > 20000:
                out.raw(b"\x17\x03\x03" * 100)
            if "refuse-late" in FAULTS and out.said > 20000:
                out.raw(b"HTTP/1.1 503 RPC Error: 6be\r\n\r\n")
            out.put(pdu)
            if "pings" in FAULTS:
                out.put(PING)
            out.flush()
            if out.said > OUT_LIFE and not self.wants:
                self.wants = True
                out.put(rts(4, word(DEST, 0)))
                out.flush()

    def answer(self, pdu):
        kind, flags, call = pdu[2], pdu[3], struct.unpack_from("<L", pdu, 12)[0]
        if kind in (11, 14):
            if "close-bind" in FAULTS:
                self.end()
            return [self.bind_ack(pdu, kind + 1, call)]
        if kind in (16, 18, 19):
            return []
        must(kind == 0, "a PDU of type %d" % kind)
        context, opnum = struct.unpack_from("<HH", pdu, 20)
        stub = pdu[24 + (16 if flags & 0x80 else 0):]
        whole = self.assembled.pop(call, b"") + stub
        if not flags & 2:
            self.assembled[call] = whole
            return []
        if "close-request" in FAULTS:
            self.end()
        if "silent" in FAULTS:
            return []
        results = self.run(opnum, whole)
        room = FRAGMENT - 24
        parts = [results[at:at + room] for at in range(0, len(results), room)] or [b""]
        answers = []
        for number, part in enumerate(parts):
            last = (1 if number == 0 else 0) | (2 if number == len(parts) - 1 else 0)
            answers.append(struct.pack("<BBBB4sHHLLHBB", 5, 0, 2, last, b"\x10\0\0\0", 24 + len(part), 0, call, len(part), context, 0, 0) + part)
        self.answered += 1
        return answers

    def bind_ack(self, pdu, kind, call):
        transmit, receive, group, count = struct.unpack_from("<HHLB", pdu, 16)
        at, results = 28, b""
        ndr = bytes.fromhex("045d888aeb1cc9119fe808002b10486002000000")
        for _ in range(count):
            identifier, syntaxes = struct.unpack_from("<HB", pdu, at)
            offered = [pdu[at + 24 + 20 * n:at + 44 + 20 * n] for n in range(syntaxes)]
            at += 24 + 20 * syntaxes
            if ndr in offered:
                results += struct.pack("<HH", 0, 0) + ndr
            else:
                results += struct.pack("<HH", 2, 2) + bytes(20)
        body = struct.pack("<HHL", min(FRAGMENT, receive), min(FRAGMENT, transmit), group or 0x1234) + struct.pack("<H", 4) + b"593\0" + b"\0\0"
        body += struct.pack("<BBH", count, 0, 0) + results
        return struct.pack("<BBBB4sHHL", 5, 0, kind, 3, b"\x10\0\0\0", 16 + len(body), 0, call) + body

    @staticmethod
    def run(opnum, stub):
        """Samba's test interface: AddOne, EchoData, SinkData, SourceData."""
        (number,) = struct.unpack_from("<L", stub)
        if opnum == 0:
            return struct.pack("<L", (number + 1) & 0xffffffff)
        if opnum == 1:
            return stub[4:8 + number]
        if opnum == 2:
            must(stub[8:8 + number] == bytes(n & 0xff for n in range(number)), "data that arrived otherwise than they left")
            return b""
        return struct.pack("<L", number) + bytes(n & 0xff for n in range(number))

    def end(self):
        self.finish()
        raise Gone()

    def finish(self):
        with self.changed:
            self.over = True
            self.changed.notify_all()
            for out in (self.out, self.next_out):
                if out:
                    out.stream.close("reset" in FAULTS)
        self.work.put((None, None))


class Connection:
    """A connection of a client: requests one after the other, until one is a channel."""

    def __init__(self, sock):
        self.stream, self.known, self.context = Stream(sock), False, None
        self.binding = None
        if isinstance(sock, ssl.SSLSocket):
            self.binding = OPTIONS["cert"]

    def run(self):
        try:
            while self.request():
                pass
        except Gone:
            pass
        except Violation as violation:
            say("violation: %s" % violation)
        finally:
            self.stream.close()

    def request(self):
        head = self.stream.head().split("\r\n")
        method, target, version = head[0].split(" ")
        fields = {}
        for line in head[1:]:
            name, value = line.split(":", 1)
            fields.setdefault(name.lower(), []).append(value.strip())
        must(method in ("RPC_IN_DATA", "RPC_OUT_DATA"), "method %s" % method)
        must(version == "HTTP/1.1", "version %s" % version)
        must(target.lower().startswith("/rpc/rpcproxy.dll?"), "target %s" % target)
        # Sections 2.1.2.1.1 and 2.1.2.1.2.
        must(fields.get("accept") == ["application/rpc"], "Accept")
        must(fields.get("cache-control") == ["no-cache"], "Cache-Control")
        must(fields.get("connection") == ["Keep-Alive"], "Connection")
        must("No-cache" in fields.get("pragma", []), "Pragma")
        must(fields.get("user-agent") == ["MSRPC"], "User-Agent")
        must(len(fields.get("host", [])) == 1 and "transfer-encoding" not in fields, "Host or Transfer-Encoding")
        length = int(fields["content-length"][0])
        if not self.let_in(fields, length):
            return True
        if length <= 16:
            self.stream.exact(length)
            if "no-echo" in FAULTS:
                raise Gone()
            token = b"WWW-Authenticate: %s\r\n" % self.last if self.last else b""
            self.stream.write(b"HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\n" + token + b"Content-Length: 20\r\n\r\n" + rts(0x40))
            return True
        if "continue" in FAULTS:
            self.stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "close-%s-request" % method.split("_")[1].lower() in FAULTS:
            raise Gone()
        if method == "RPC_OUT_DATA":
            self.out_channel(length)
        else:
            self.in_channel(length)
        return False

    def answer(self, status, *fields):
        head = "HTTP/1.1 %s\r\n%sContent-Length: 0\r\n\r\n" % (status, "".join(field + "\r\n" for field in fields))
        self.stream.write(head.encode())
        return False

    def let_in(self, fields, length):
        """Whether who asks may go on; otherwise it was answered."""
        way, given = OPTIONS.get("auth", "none"), fields.get("authorization", [None])[0]
        self.last = None
        if "refuse-in" in FAULTS and length > 16:
            return self.answer("503 RPC Error: %s" % OPTIONS.get("code", "6ba"))
        if way == "loop":
            challenge = given.split(" ")[0] if given else "NTLM"
            return self.answer("401 Unauthorized", "WWW-Authenticate: %s %s" % (challenge, OPTIONS.get("token", "")))
        if way == "none" or self.known:
            return True
        if way == "basic":
            expected = base64.b64encode(("%s:%s" % (OPTIONS["user"], OPTIONS["password"])).encode()).decode()
            if given == "Basic " + expected:
                return True
            return self.answer("401 Unauthorized", 'WWW-Authenticate: Basic realm="peer"')
        scheme = {"ntlm": "NTLM", "negotiate": "Negotiate"}[way]
        if not given or not given.startswith(scheme + " "):
            return self.answer("401 Unauthorized", "WWW-Authenticate: " + scheme)
        if not self.context:
            self.context = acceptor(way, self.binding)
        try:
            token = self.context.step(base64.b64decode(given.split(" ")[1]))
        except Exception as error:
            say("denied: %s" % type(error).__name__)
            self.context = None
            return self.answer("401 Unauthorized", "WWW-Authenticate: " + scheme)
        if not self.context.complete:
            must(length == 0, "a leg of authentication with a body of %d bytes" % length)
            return self.answer("401 Unauthorized", "WWW-Authenticate: %s %s" % (scheme, base64.b64encode(token).decode()))
        self.known = True
        say("proved %s" % self.context.client_principal)
        self.last = (scheme + " " + base64.b64encode(token).decode()).encode() if token else None
        return True

    def out_channel(self, length):
        pdu = self.stream.pdu()
        flags, numbers, values = shape(pdu)
        if (flags, numbers) == (0, [VERSION, COOKIE, COOKIE, RWS]):
            must(length == 76 == len(pdu), "an OUT request of %d bytes" % length)
            vc, cookie, window = values[1], values[2], values[3]
        else:
            must((flags, numbers) == (4, [VERSION, COOKIE, COOKIE, COOKIE, RWS]), "no OUT_R1/A3: %#x %s" % (flags, numbers))
            must(length == 120 and len(pdu) == 96, "an OUT request of %d bytes" % length)
            vc, cookie, window = values[1], values[3], values[4]
        must(values[0] == struct.pack("<L", 1), "version")
        out, virtual = Out(self.stream, cookie), Virtual.named(vc)
        out.avail = out.window = struct.unpack("<L", window)[0]
        must(8192 <= out.window <= 1 << 30, "a window of %d" % out.window)
        if flags == 4:
            say("rts " + pdu.hex())
            must(virtual.out and values[2] == virtual.out.cookie, "OUT_R1/A3 names another predecessor")
            virtual.successor(out)
            virtual.first_of_successor(self.stream.pdu())
        else:
            say("conn/a1 " + pdu.hex())
            virtual.begin_out(out)
            out.flush() if "merged" not in FAULTS else None
        if isinstance(self.stream.sock, ssl.SSLSocket):
            # Reading and writing at a time is nothing for this library.
            with virtual.changed:
                while not virtual.over:
                    virtual.changed.wait(1)
            return
        self.stream.exact(1)
        raise Violation("an OUT request with more in it")

    def in_channel(self, length):
        must(1 << 17 <= length <= 1 << 31, "an IN request of %d bytes" % length)
        before = self.stream.read
        pdu = self.stream.pdu()
        flags, numbers, values = shape(pdu)
        if (flags, numbers) == (0, [VERSION, COOKIE, COOKIE, LIFE, KA, GROUP]):
            must(len(pdu) == 104, "CONN/B1 of %d bytes" % len(pdu))
            must(struct.unpack("<L", values[3])[0] == length, "a lifetime that is not the length")
            say("conn/b1 " + pdu.hex())
            virtual = Virtual.named(values[1])
            virtual.begin_in(values[2])
        else:
            must((flags, numbers) == (4, [VERSION, COOKIE, COOKIE, COOKIE]), "no IN_R1/A1: %#x %s" % (flags, numbers))
            say("rts " + pdu.hex())
            must(len(pdu) == 88, "IN_R1/A1 of %d bytes" % len(pdu))
            virtual = Virtual.named(values[1])
            with virtual.changed:
                must(values[2] == virtual.in_cookie, "IN_R1/A1 names another predecessor")
                done = virtual.in_done[values[3]] = threading.Event()
                if OPTIONS.get("in", "r2") == "r1":
                    virtual.tell(rts(0, word(DEST, 0), word(VERSION, 1), word(RWS, WINDOW), CT))
                else:
                    virtual.tell(rts(0, word(DEST, 0)))
            done.wait(10)
        try:
            while True:
                pdu = self.stream.pdu()
                must(self.stream.read - before <= length, "more than the Content-Length")
                if pdu[2] == 20:
                    virtual.take_rts(pdu, self.stream)
                else:
                    virtual.take_call(pdu)
        except Violation:
            virtual.work.put((None, None))
            raise


def acceptor(way, certificate):
    import hashlib

    import spnego
    from spnego.channel_bindings import GssChannelBindings

    store = tempfile.NamedTemporaryFile("w", suffix=".ntlm", delete=False)
    store.write("%s:%s:%s\n" % (OPTIONS.get("domain", ""), OPTIONS["user"], OPTIONS["password"]))
    store.close()
    os.environ["NTLM_USER_FILE"] = store.name
    bindings = None
    if certificate:
        with open(certificate) as file:
            der = ssl.PEM_cert_to_DER_cert(file.read())
        bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + hashlib.sha256(der).digest())
    options = spnego.NegotiateOptions.use_ntlm
    if way == "negotiate":
        options |= spnego.NegotiateOptions.use_negotiate
    return spnego.server(protocol="ntlm" if way == "ntlm" else "negotiate", options=options, channel_bindings=bindings)


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    tls = None
    if "cert" in OPTIONS:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(OPTIONS["cert"], OPTIONS["key"])
        tls.set_alpn_protocols(["http/1.1"])
    say("listening %d" % listener.getsockname()[1])

    def one(sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            try:
                sock = tls.wrap_socket(sock, server_side=True)
            except OSError as error:
                return say("no tls: %s" % error)
        Connection(sock).run()

    while True:
        sock, _ = listener.accept()
        threading.Thread(target=one, args=(sock,), daemon=True).start()


main()

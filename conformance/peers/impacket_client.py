"""impacket as a client: asks a server for its interfaces, and calls rpcecho where it is one.

impacket_client.py WHAT PORT LEVEL [DOMAIN/USER%PASSWORD]

WHAT is `interfaces` or `echo`; LEVEL is none, connect, packet, integrity or privacy, the last
four with NTLM. Prints what it got, a line each, and at the end `all well`.
"""

import struct
import sys

from impacket.dcerpc.v5 import mgmt, rpcrt, transport
from impacket.uuid import bin_to_uuidtup, uuidtup_to_bin

ECHO = ("60a15ec5-4de8-11d7-a637-005056a20182", "1.0")

LEVELS = {
    "none": rpcrt.RPC_C_AUTHN_LEVEL_NONE,
    "connect": rpcrt.RPC_C_AUTHN_LEVEL_CONNECT,
    "packet": rpcrt.RPC_C_AUTHN_LEVEL_PKT,
    "integrity": rpcrt.RPC_C_AUTHN_LEVEL_PKT_INTEGRITY,
    "privacy": rpcrt.RPC_C_AUTHN_LEVEL_PKT_PRIVACY,
}


def connect(port, level, who):
    """An association, not bound to anything yet."""
    way = transport.DCERPCTransportFactory(f"ncacn_ip_tcp:127.0.0.1[{port}]")
    if who:
        account, password = who.split("%", 1)
        domain, user = account.split("/", 1)
        way.set_credentials(user, password, domain)
    dce = way.get_dce_rpc()
    dce.set_auth_level(LEVELS[level])
    dce.connect()
    return dce


def interfaces(dce):
    dce.bind(mgmt.MSRPC_UUID_MGMT)
    vector = mgmt.hinq_if_ids(dce)["if_id_vector"]
    for one in vector["if_id"]:
        uuid, version = bin_to_uuidtup(one["Data"].getData())
        print(f"interface {uuid.lower()} {version}")
    listening = mgmt.his_server_listening(dce)
    print(f"listening {listening['status']}")


def call(dce, opnum, arguments):
    dce.call(opnum, arguments)
    return dce.recv()


def echo(dce):
    dce.bind(uuidtup_to_bin(ECHO))
    (sum_,) = struct.unpack("<L", call(dce, 0, struct.pack("<L", 41)))
    print(f"AddOne {sum_}", flush=True)
    # More than one fragment each way, and a length that wants padding.
    data = bytes(i % 251 for i in range(20001))
    count = struct.pack("<LL", len(data), len(data))
    back = call(dce, 1, count + data)
    assert back[:4] == struct.pack("<L", len(data)), back[:4]
    assert back[4 : 4 + len(data)] == data
    print(f"EchoData {len(data)}")
    call(dce, 2, count + data)
    print("SinkData")
    back = call(dce, 3, struct.pack("<L", 30000))
    assert back[4:30004] == bytes(i % 256 for i in range(30000))
    print("SourceData 30000")
    text = "grüße\0".encode("utf-16le")
    counts = struct.pack("<LLL", len(text) // 2, 0, len(text) // 2)
    back = call(dce, 4, counts + text)
    assert back[4:16] == counts and back[16 : 16 + len(text)] == text, back
    print("TestCall")
    try:
        call(dce, 99, b"")
    except rpcrt.DCERPCException as error:
        print(f"opnum 99: {error.error_code:#010x}" if error.error_code else f"opnum 99: {error}")


def main():
    what, port, level, *who = sys.argv[1:]
    dce = connect(port, level, who[0] if who else None)
    {"interfaces": interfaces, "echo": echo}[what](dce)
    dce.disconnect()
    print("all well")


main()

"""Scapy at one end of rpcecho.

scapy_echo.py client PORT SYNTAX LEVEL [USER%PASSWORD]
scapy_echo.py server PORT SYNTAX LEVEL [USER%PASSWORD]

SYNTAX is ndr or ndr64; LEVEL is none, connect, packet, integrity or privacy, the last four with
NTLM. A client prints what it got and at the end `all well`; a server prints `ready` and serves
AddOne and EchoData until it is ended.
"""

import sys
import uuid

from scapy.config import conf
from scapy.layers.dcerpc import (
    DCERPC_Transport,
    DceRpcOp,
    NDRConfStrLenField,
    NDRIntField,
    NDRPacket,
    RPC_C_AUTHN_LEVEL,
    find_dcerpc_interface,
    register_dcerpc_interface,
)
from scapy.layers.msrpce.rpcclient import DCERPC_Client
from scapy.layers.msrpce.rpcserver import DCERPC_Server
from scapy.layers.ntlm import MD4le, NTLMSSP

LEVELS = {
    "none": RPC_C_AUTHN_LEVEL.NONE,
    "connect": RPC_C_AUTHN_LEVEL.CONNECT,
    "packet": RPC_C_AUTHN_LEVEL.PKT,
    "integrity": RPC_C_AUTHN_LEVEL.PKT_INTEGRITY,
    "privacy": RPC_C_AUTHN_LEVEL.PKT_PRIVACY,
}


class AddOne_Request(NDRPacket):
    fields_desc = [NDRIntField("in_data", 0)]


class AddOne_Response(NDRPacket):
    fields_desc = [NDRIntField("out_data", 0)]


class EchoData_Request(NDRPacket):
    fields_desc = [
        NDRIntField("len", 0),
        NDRConfStrLenField("in_data", "", size_is=lambda pkt: pkt.len),
    ]


def length(pkt):
    """How many bytes there are: as received, or as they are to be sent."""
    data = pkt.out_data
    return data.max_count if hasattr(data, "max_count") else len(data)


class EchoData_Response(NDRPacket):
    fields_desc = [NDRConfStrLenField("out_data", "", size_is=length)]


ECHO = uuid.UUID("60a15ec5-4de8-11d7-a637-005056a20182")
register_dcerpc_interface(
    name="rpcecho",
    uuid=ECHO,
    version="1.0",
    opnums={
        0: DceRpcOp(AddOne_Request, AddOne_Response),
        1: DceRpcOp(EchoData_Request, EchoData_Response),
    },
)


class Echo(DCERPC_Server):
    @DCERPC_Server.answer(AddOne_Request)
    def add_one(self, req):
        value = req[AddOne_Request].in_data
        return AddOne_Response(out_data=(value + 1) & 0xFFFFFFFF, ndr64=self.ndr64)

    @DCERPC_Server.answer(EchoData_Request)
    def echo_data(self, req):
        data = bytes(req[EchoData_Request].valueof("in_data"))
        return EchoData_Response(out_data=data, ndr64=self.ndr64)


def client(port, ndr64, level, who):
    ssp = None
    if who:
        user, password = who.split("%", 1)
        ssp = NTLMSSP(UPN=user, PASSWORD=password)
    c = DCERPC_Client(
        DCERPC_Transport.NCACN_IP_TCP, ndr64=ndr64, verb=False, auth_level=level, ssp=ssp
    )
    c.connect("127.0.0.1", port=port)
    c.bind(find_dcerpc_interface("rpcecho"))
    out = c.sr1_req(AddOne_Request(in_data=41, ndr64=ndr64))
    print(f"AddOne {out.out_data}")
    data = bytes(i % 251 for i in range(1001))
    out = c.sr1_req(EchoData_Request(len=len(data), in_data=data, ndr64=ndr64))
    back = out.valueof("out_data")
    assert bytes(back) == data, back[:40]
    print(f"EchoData {len(data)}")
    c.close()
    print("all well")


def server(port, ndr64, level, who):
    ssp = None
    if who:
        user, password = who.split("%", 1)
        ssp = NTLMSSP(IDENTITIES={user: MD4le(password)})
    Echo.spawn(
        DCERPC_Transport.NCACN_IP_TCP,
        iface="lo",
        port=port,
        ndr64=ndr64,
        ssp=ssp,
        min_auth_level=level,
        verb=False,
        bg=True,
    )
    print("ready", flush=True)


def main():
    role, port, syntax, level, *who = sys.argv[1:]
    conf.verb = 0
    {"client": client, "server": server}[role](
        int(port), syntax == "ndr64", LEVELS[level], who[0] if who else None
    )


main()

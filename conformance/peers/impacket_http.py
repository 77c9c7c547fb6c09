"""impacket as a client of RPC over HTTP.

impacket_http.py URL USER PASSWORD DOMAIN

URL is that of a proxy with the server behind it. Asks the server which interfaces it has, and calls SourceData of Samba's test interface
until impacket must have acknowledged more than a window; with Basic, with NTLM, and as impacket chooses. Prints `all well` at the end.
"""

import struct
import sys

from impacket import http
from impacket.dcerpc.v5 import mgmt, transport
from impacket.uuid import uuidtup_to_bin

ECHO = uuidtup_to_bin(("60a15ec5-4de8-11d7-a637-005056a20182", "1.0"))


def one(way, url, user, password, domain):
    layer = transport.DCERPCTransportFactory("ncacn_http:srv1[593]")
    layer.set_rpc_proxy_url(url)
    layer.set_credentials(user, password, domain)
    layer.set_auth_type(way)
    dce = layer.get_dce_rpc()
    dce.connect()
    dce.bind(mgmt.MSRPC_UUID_MGMT)
    print(way, "interfaces", mgmt.hinq_if_ids(dce)["if_id_vector"]["count"])
    echo = dce.alter_ctx(ECHO)
    total = 0
    for _ in range(20):
        echo.call(3, struct.pack("<L", 30000))
        total += len(echo.recv())
    assert total > 20 * 30000, total
    dce.disconnect()


for way in (http.AUTH_BASIC, http.AUTH_NTLM, http.AUTH_AUTO):
    one(way, *sys.argv[1:])
print("all well")

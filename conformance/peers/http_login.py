"""A client that logs in to a proxy by NTLM or Negotiate and names the TLS channel, as Windows does: pyspnego.

http_login.py PORT SCHEME USER PASSWORD BINDING

SCHEME is NTLM or Negotiate; BINDING says which channel the client names: `own`, `other` or `none`. Prints the status of the last answer.
"""

import base64
import hashlib
import socket
import ssl
import sys

import spnego
from spnego.channel_bindings import GssChannelBindings


def main():
    port, scheme, user, password, binding = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    line = context.wrap_socket(socket.create_connection(("127.0.0.1", int(port))))
    digest = hashlib.sha256(line.getpeercert(True)).digest()
    if binding == "other":
        digest = bytes(32)
    bindings = None
    if binding != "none":
        bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + digest)
    protocol = {"NTLM": "ntlm", "Negotiate": "negotiate"}[scheme]
    client = spnego.client(
        user, password, hostname="127.0.0.1", service="HTTP", protocol=protocol,
        channel_bindings=bindings, options=spnego.NegotiateOptions.use_ntlm,
    )
    answers = line.makefile("rb")
    token, status = client.step(), 0
    while token:
        line.sendall(
            b"RPC_IN_DATA /rpc/rpcproxy.dll?srv1:593 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nAuthorization: "
            + scheme.encode() + b" " + base64.b64encode(token) + b"\r\n\r\n"
        )
        status = int(answers.readline().split()[1])
        length, token = 0, None
        while (header := answers.readline().strip()):
            name, value = header.split(b":", 1)
            if name.lower() == b"content-length":
                length = int(value)
            given = value.strip().split(b" ", 1)
            if name.lower() == b"www-authenticate" and given[0].decode() == scheme and len(given) == 2:
                token = client.step(base64.b64decode(given[1]))
        answers.read(length)
        if status != 401 or client.complete and token is None:
            break
    print("status", status)


main()

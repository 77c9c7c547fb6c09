"""Samba's Python bindings as a client.

samba_client.py WHAT BINDING CONFIGURATION [DOMAIN\\USER%PASSWORD]

WHAT is `echo`, `interfaces`, `mapper` or `key`; BINDING is one of Samba's, such as
`ncacn_ip_tcp:127.0.0.1[1234,ndr64,seal]`. Prints what it got, a line each, and at the end
`all well`.
"""

import sys

from samba import credentials, param
from samba.dcerpc import echo as echo_, epmapper, mgmt, misc


def echo(binding, lp, creds):
    conn = echo_.rpcecho(binding, lp, creds)
    assert conn.AddOne(41) == 42
    assert conn.AddOne(0xFFFFFFFF) == 0
    data = [i % 251 for i in range(20001)]
    assert conn.EchoData(data) == data
    conn.SinkData(data)
    assert conn.SourceData(30000) == [i % 256 for i in range(30000)]
    assert conn.EchoData([]) == []
    assert conn.TestCall("grüße") == "grüße"
    for level in range(1, 8):
        conn.TestCall2(level)
    foo2 = echo_.Enum2()
    foo2.e1, foo2.e2 = 1, 2
    out1, out2, out3 = conn.TestEnum(2, foo2, foo2)
    assert (out1, out2.e1, out2.e2, out3.e1, out3.e2) == (2, 1, 2, 1, 2)
    surrounding = echo_.Surrounding()
    surrounding.x, surrounding.surrounding = 10, list(range(10))
    assert conn.TestSurrounding(surrounding).x == 20
    print("echo: ten operations")


def interfaces(binding, lp, creds):
    conn = mgmt.mgmt(binding, lp, creds)
    for one in conn.inq_if_ids().if_id:
        print(f"interface {one.id.uuid} {one.id.if_version}")


def mapper(binding, lp, creds):
    conn = epmapper.epmapper(binding, lp, creds)
    handle = misc.policy_handle()
    count = 0
    while True:
        handle, entries, status = conn.epm_Lookup(0, None, None, 0, handle, 10)
        for entry in entries:
            floors = entry.tower.tower.floors
            uuid = floors[0].lhs.lhs_data.hex() if floors else "-"
            print(f"entry {uuid} {entry.annotation}")
        count += len(entries)
        if status or misc.policy_handle().uuid == handle.uuid:
            break
    print(f"entries {count}")


def key(binding, lp, creds):
    conn = echo_.rpcecho(binding, lp, creds)
    try:
        conn.AddOne(41)
    except RuntimeError:
        # The server that is asked for its key answers no sum.
        pass
    print(f"key {bytes(conn.user_session_key).hex()}")


def main():
    what, binding, configuration, *who = sys.argv[1:]
    lp = param.LoadParm()
    lp.load(configuration)
    creds = credentials.Credentials()
    creds.guess(lp)
    if who:
        creds.parse_string(who[0])
    else:
        creds.set_anonymous()
    creds.set_kerberos_state(credentials.DONT_USE_KERBEROS)
    tasks = {"echo": echo, "interfaces": interfaces, "mapper": mapper, "key": key}
    tasks[what](binding, lp, creds)
    print("all well")


main()

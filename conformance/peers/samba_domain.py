"""Fills a fresh domain of Samba's with the accounts of the tests.

samba_domain.py CONFIGURATION KEYTAB USER PASSWORD HOST...

Makes the user, and an account for each HOST (`NAME.DOMAIN`): the first has keys of AES, any other
RC4 alone, as machines had long ago. The keys of all hosts go to KEYTAB.
"""

import sys

import ldb
import samba.dckeytab  # noqa: F401, gives Net its export_keytab
from samba.auth import system_session
from samba.net import Net
from samba.param import LoadParm
from samba.samdb import SamDB

# The bits for AES-128 and AES-256 of msDS-SupportedEncryptionTypes.
AES = "24"


def add_host(samdb, host, encryption):
    name = host.split(".", 1)[0]
    samdb.newcomputer(name, service_principal_name_list=[f"host/{host}"])
    samdb.setpassword(f"(sAMAccountName={name}$)", "0urs!Machine", False)
    if encryption:
        (found,) = samdb.search(expression=f"(sAMAccountName={name}$)", attrs=[])
        message = ldb.Message(found.dn)
        attribute = "msDS-SupportedEncryptionTypes"
        message[attribute] = ldb.MessageElement(encryption, ldb.FLAG_MOD_REPLACE, attribute)
        samdb.modify(message)


def main():
    configuration, keytab, user, password, *hosts = sys.argv[1:]
    lp = LoadParm()
    lp.load(configuration)
    samdb = SamDB(session_info=system_session(), lp=lp)
    samdb.newuser(user, password)
    for host in hosts:
        add_host(samdb, host, AES if host == hosts[0] else None)
    for host in hosts:
        Net(None, lp).export_keytab(keytab=keytab, principal=f"host/{host}")
    print("all well")


main()

"""Prints what impacket calls interfaces and operations: `interface UUID VERSION NAME` and `operation UUID OPNUM NAME`, a line each."""

import importlib
import pkgutil

import impacket.dcerpc.v5 as family
from impacket.dcerpc.v5 import epm
from impacket.uuid import bin_to_uuidtup


def modules(package):
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        try:
            yield importlib.import_module(found.name)
        except ImportError:
            continue


def main():
    for module in modules(family):
        for attribute, value in vars(module).items():
            if not attribute.startswith("MSRPC_UUID_") or not isinstance(value, bytes) or len(value) != 20:
                continue
            uuid, version = bin_to_uuidtup(value)
            print("interface", uuid.lower(), version, attribute.removeprefix("MSRPC_UUID_").lower())
            for opnum, (request, _) in getattr(module, "OPNUMS", {}).items():
                if isinstance(opnum, int):
                    print("operation", uuid.lower(), opnum, request.__name__)
    for key, name in epm.KNOWN_UUIDS.items():
        uuid, version = bin_to_uuidtup(key + b"\0" * (20 - len(key)))
        print("known", uuid.lower(), version, name)


main()

"""Samba's NDR as an oracle.

Reads lines `MODULE OPNUM in|out MODE REQUEST MESSAGE`: a request and the message, which for `in` is
the same, in hexadecimal digits; MODE is two digits, big-endian and NDR64. Reads the message as MODE
says, and answers with its bytes in the modes 00, 10, 01 and 11, or with `refused` and why. An
empty field is `-`.
"""

import importlib
import sys

from samba.ndr import (
    ndr_pack_in,
    ndr_pack_out,
    ndr_unpack_in,
    ndr_unpack_out,
)

MODES = [(False, False), (True, False), (False, True), (True, True)]


def operations(name):
    module = importlib.import_module("samba.dcerpc." + name)
    found = {}
    for one in vars(module).values():
        if hasattr(one, "__ndr_pack_in__"):
            found.setdefault(one.opnum(), one)
    return found


def answer(operation, direction, mode, request, message):
    big, wide = (digit == "1" for digit in mode)
    value = operation()
    ndr_unpack_in(value, request, bigendian=big, ndr64=wide)
    pack = ndr_pack_in
    if direction == "out":
        ndr_unpack_out(value, message, bigendian=big, ndr64=wide)
        pack = ndr_pack_out
    packed = [pack(value, bigendian=b, ndr64=w) for b, w in MODES]
    return " ".join(one.hex() or "-" for one in packed)


def main():
    known = {}
    for line in sys.stdin:
        name, opnum, direction, mode, request, message = line.split()
        if name not in known:
            known[name] = operations(name)
        operation = known[name].get(int(opnum))
        if operation is None:
            print("unknown", flush=True)
            continue
        data = [bytes.fromhex("" if text == "-" else text) for text in (request, message)]
        try:
            print(answer(operation, direction, mode, *data), flush=True)
        except Exception as error:
            print("refused", type(error).__name__, str(error).replace("\n", " "), flush=True)


main()

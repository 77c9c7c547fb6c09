"""One side of a security mechanism of another implementation, asked line by line.

Arguments: scapy, pyspnego or impacket; accept or initiate; ntlm, krb5, spnego or spnego-krb5; options as NAME=TEXT.
The questions and answers are those of `peer::talk`.
"""

import os
import sys
import tempfile


def hexed(data):
    return bytes(data).hex() if data else "-"


def unhexed(word):
    return b"" if word == "-" else bytes.fromhex(word)


class Pyspnego:
    def __init__(self, role, mechanism, options):
        import spnego
        from spnego.channel_bindings import GssChannelBindings

        user = options["user"]
        if options.get("domain"):
            user = options["domain"] + "\\" + user
        kwargs = {"protocol": "ntlm" if mechanism == "ntlm" else "negotiate",
                  "options": spnego.NegotiateOptions.use_ntlm}
        if mechanism != "ntlm":
            kwargs["options"] |= spnego.NegotiateOptions.use_negotiate
        self.bindings = None
        if "channel" in options:
            self.bindings = GssChannelBindings(application_data=options["channel"].encode())
        kwargs["channel_bindings"] = self.bindings
        if role == "accept":
            store = tempfile.NamedTemporaryFile("w", suffix=".ntlm")
            store.write("%s:%s:%s\n" % (options.get("domain", ""), options["user"], options["password"]))
            store.flush()
            os.environ["NTLM_USER_FILE"] = store.name
            self.store = store
            self.context = spnego.server(**kwargs)
        else:
            self.context = spnego.client(user, options["password"], hostname="farcall", service="host", **kwargs)
        self.accepts = role == "accept"

    def step(self, token):
        token = self.context.step(token or None)
        if not self.context.complete:
            return token, None
        mechanism = self.context.negotiated_protocol
        name = self.context.client_principal if self.accepts else ""
        return token, "%s:%s" % (mechanism, name)

    def sign(self, message):
        return self.context.sign(message)

    def verify(self, message, token):
        self.context.verify(message, token)

    def parts(self, before, body, after, token):
        from spnego.iov import BufferType

        return [(BufferType.sign_only, before), (BufferType.data, body), (BufferType.sign_only, after),
                (BufferType.header, token)]

    def seal(self, before, body, after):
        sealed = self.context.wrap_iov(self.parts(before, body, after, b"")).buffers
        return sealed[1].data, sealed[3].data

    def unseal(self, before, body, after, token):
        return self.context.unwrap_iov(self.parts(before, body, after, token)).buffers[1].data


class Impacket:
    """A client of NTLM that sends no MIC."""

    def __init__(self, role, mechanism, options):
        assert (role, mechanism) == ("initiate", "ntlm"), "impacket is a client of NTLM here"
        self.options = options
        self.first = None

    def step(self, token):
        from impacket import ntlm
        from Cryptodome.Cipher import ARC4

        if self.first is None:
            self.first = ntlm.getNTLMSSPType1("", "", signingRequired=True, use_ntlmv2=True)
            # As its users do: a field of this message is emptied before it is sent.
            if self.options.get("128") == "no":
                self.first["flags"] &= 0xFFFFFFFF ^ ntlm.NTLMSSP_NEGOTIATE_128
            if self.options.get("56") == "no":
                self.first["flags"] &= 0xFFFFFFFF ^ ntlm.NTLMSSP_NEGOTIATE_56
            if self.options.get("exchange") == "no":
                self.first["flags"] &= 0xFFFFFFFF ^ ntlm.NTLMSSP_NEGOTIATE_KEY_EXCH
            return self.first.getData(), None
        third, key = ntlm.getNTLMSSPType3(self.first, token, self.options["user"], self.options["password"],
                                          self.options.get("domain", ""), use_ntlmv2=True)
        self.flags = third["flags"]
        self.keys = {}
        for end in ("Client", "Server"):
            handle = ARC4.new(ntlm.SEALKEY(self.flags, key, end)).encrypt
            self.keys[end] = [ntlm.SIGNKEY(self.flags, key, end), ntlm.SEALKEY(self.flags, key, end), handle, 0]
        return third.getData(), "ntlm:"

    def made(self, end, signed, body):
        from impacket import ntlm

        keys = self.keys[end]
        if body is None:
            out = None
            token = ntlm.SIGN(self.flags, keys[0], signed, keys[3], keys[2])
        else:
            out, token = ntlm.SEAL(self.flags, keys[0], keys[1], signed, body, keys[3], keys[2])
        keys[3] += 1
        return out, token.getData()

    def sign(self, message):
        return self.made("Client", message, None)[1]

    def verify(self, message, token):
        assert self.made("Server", message, None)[1] == token, "another signature"

    def seal(self, before, body, after):
        return self.made("Client", before + body + after, body)

    def unseal(self, before, body, after, token):
        from impacket import ntlm

        keys = self.keys["Server"]
        plain = keys[2](body)
        expected = ntlm.SIGN(self.flags, keys[0], before + plain + after, keys[3], keys[2]).getData()
        keys[3] += 1
        assert expected == token, "another signature"
        return plain


class Scapy:
    def __init__(self, role, mechanism, options):
        import logging

        logging.getLogger("scapy").setLevel(logging.ERROR)
        from scapy.layers.gssapi import GSS_C_FLAGS

        self.role = role
        self.context = None
        self.target = options.get("target")
        self.flags = GSS_C_FLAGS.GSS_C_INTEG_FLAG | GSS_C_FLAGS.GSS_C_MUTUAL_FLAG
        if options.get("seal") != "no":
            self.flags |= GSS_C_FLAGS.GSS_C_CONF_FLAG
        if options.get("dce") != "no":
            self.flags |= GSS_C_FLAGS.GSS_C_DCE_STYLE
        self.ssp = self.provider(role, mechanism, options)

    def provider(self, role, mechanism, options):
        from scapy.layers.spnego import SPNEGOSSP

        if mechanism.startswith("spnego"):
            inner = "krb5" if mechanism.endswith("krb5") else "ntlm"
            return SPNEGOSSP([self.provider(role, inner, options)])
        if mechanism == "ntlm":
            return self.ntlm(role, options)
        return self.kerberos(role, options)

    def ntlm(self, role, options):
        from scapy.layers.ntlm import MD4le, NTLMSSP

        if role == "accept":
            return NTLMSSP(IDENTITIES={options["user"]: MD4le(options["password"])}, COMPUTER_NB_NAME="OTHER",
                           DOMAIN_NB_NAME="GROUP", DOMAIN_FQDN="group.test")
        upn = options["user"]
        if options.get("domain"):
            upn = "%s\\%s" % (options["domain"], upn)
        return NTLMSSP(UPN=upn, PASSWORD=options["password"], USE_MIC=options.get("mic") != "no")

    def kerberos(self, role, options):
        from scapy.layers.kerberos import EncryptionType, KerberosSSP
        from scapy.libs.rfc3961 import Key

        kinds = {"aes256": EncryptionType.AES256_CTS_HMAC_SHA1_96, "aes128": EncryptionType.AES128_CTS_HMAC_SHA1_96,
                 "rc4": EncryptionType.RC4_HMAC}
        kind = kinds[options.get("kind", "aes256")]
        if role == "accept":
            return KerberosSSP(SPN=options["target"], KEY=Key(kind, key=bytes.fromhex(options["key"])),
                               SKEY_TYPE=kind)
        return KerberosSSP(UPN=options["principal"], PASSWORD=options["password"], SPN=options["target"],
                           DC_IP=options["kdc"], SKEY_TYPE=kind)

    def step(self, token):
        from scapy.layers.gssapi import GSSAPI_BLOB

        token = GSSAPI_BLOB(token) if token else None
        if self.role == "accept":
            self.context, out, status = self.ssp.GSS_Accept_sec_context(self.context, token)
        else:
            self.context, out, status = self.ssp.GSS_Init_sec_context(
                self.context, input_token=token, target_name=self.target, req_flags=self.flags)
        if status not in (0, 1):
            raise RuntimeError("status %s" % status)
        return (bytes(out) if out is not None else None), ("scapy:" if status == 0 else None)

    def key(self):
        """The session key of Kerberos, bare or inside SPNEGO."""
        context = self.context
        for name in ("ssp_context",):
            context = getattr(context, name, None) or context
        return context.KrbSessionKey.key

    def message(self, *parts):
        from scapy.layers.gssapi import SSP

        return [SSP.WRAP_MSG(conf_req_flag=encrypted, sign=True, data=data) for data, encrypted in parts]

    def sign(self, message):
        from scapy.layers.gssapi import SSP

        return bytes(self.ssp.GSS_GetMICEx(self.context, [SSP.MIC_MSG(sign=True, data=message)]))

    def token(self, token):
        from scapy.layers.gssapi import GSSAPI_BLOB_SIGNATURE

        return GSSAPI_BLOB_SIGNATURE(token)

    def verify(self, message, token):
        from scapy.layers.gssapi import SSP

        self.ssp.GSS_VerifyMICEx(self.context, [SSP.MIC_MSG(sign=True, data=message)], self.token(token))

    def seal(self, before, body, after):
        messages = self.message((before, False), (body, True), (after, False))
        messages, token = self.ssp.GSS_WrapEx(self.context, messages)
        return messages[1].data, bytes(token)

    def unseal(self, before, body, after, token):
        messages = self.message((before, False), (body, True), (after, False))
        return self.ssp.GSS_UnwrapEx(self.context, messages, self.token(token))[1].data


def main():
    library, role, mechanism = sys.argv[1:4]
    options = dict(option.split("=", 1) for option in sys.argv[4:])
    side = {"scapy": Scapy, "pyspnego": Pyspnego, "impacket": Impacket}[library](role, mechanism, options)
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        verb, *words = line.split()
        data = [unhexed(word) for word in words]
        try:
            if verb == "step":
                token, done = side.step(*data)
                answer = hexed(token) + (" " + done.replace(" ", "_") if done is not None else "")
            elif verb == "sign":
                answer = hexed(side.sign(*data))
            elif verb == "verify":
                side.verify(*data)
                answer = ""
            elif verb == "seal":
                answer = " ".join(hexed(part) for part in side.seal(*data))
            elif verb == "key":
                answer = hexed(side.key())
            elif verb == "unseal":
                answer = hexed(side.unseal(*data))
            else:
                raise RuntimeError("no question " + verb)
            print("ok " + answer, file=answers, flush=True)
        except Exception as fault:
            print("error %s: %s" % (type(fault).__name__, str(fault).replace("\n", " ")), file=answers, flush=True)


main()

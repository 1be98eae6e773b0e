"""Certificates, and what directories keep of them, written byte by byte: whatever a test wants to have in them, without
any code of the gateway. Keys and signatures are openssl's, DER is written here; only Python's standard library.
"""

import base64
import hashlib
import struct
import time

from checks import must

OIDS = {
    "rsa": "1.2.840.113549.1.1.11", "ec": "1.2.840.10045.4.3.2", "sha256": "2.16.840.1.101.3.4.2.1",
    "cn": "2.5.4.3", "email": "1.2.840.113549.1.9.1", "data": "1.2.840.113549.1.7.1",
    "signedData": "1.2.840.113549.1.7.2", "contentType": "1.2.840.113549.1.9.3",
    "messageDigest": "1.2.840.113549.1.9.4", "capabilities": "1.2.840.113549.1.9.15",
    "preference": "1.2.840.113549.1.9.16.2.11", "outlook": "1.3.6.1.4.1.311.16.4",
    "emailProtection": "1.3.6.1.5.5.7.3.4", "clientAuth": "1.3.6.1.5.5.7.3.2", "logon": "1.3.6.1.4.1.311.20.2.2",
    "efs": "1.3.6.1.4.1.311.10.3.4", "upn": "1.3.6.1.4.1.311.20.2.3",
    "aes128-cbc": "2.16.840.1.101.3.4.1.2", "aes256-cbc": "2.16.840.1.101.3.4.1.42",
    "aes128-gcm": "2.16.840.1.101.3.4.1.6", "aes256-gcm": "2.16.840.1.101.3.4.1.46",
}
USAGE = {"digitalSignature": 0, "keyEncipherment": 2, "keyAgreement": 4, "keyCertSign": 5, "cRLSign": 6}
DAY = 86400


# DER.

def tlv(tag, *contents):
    body = b"".join(contents)
    size = len(body).to_bytes(3, "big").lstrip(b"\0") or b"\0"
    if len(body) > 127:
        size = bytes([0x80 | len(size)]) + size
    return bytes([tag]) + size + body


def sequence(*contents):
    return tlv(0x30, *contents)


def set_of(*contents):
    return tlv(0x31, *sorted(contents))


def oid(name):
    numbers = [int(n) for n in OIDS.get(name, name).split(".")]
    out = bytes([numbers[0] * 40 + numbers[1]])
    for number in numbers[2:]:
        digits = [number & 127]
        while number > 127:
            number >>= 7
            digits.append(number & 127 | 128)
        out += bytes(reversed(digits))
    return tlv(6, out)


def integer(number):
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def utf8(text):
    return tlv(12, text.encode())


def moment(at):
    return tlv(24, time.strftime("%Y%m%d%H%M%SZ", time.gmtime(at)).encode())


def name(cn, email=None):
    rdns = [set_of(sequence(oid("cn"), utf8(cn)))]
    if email:
        rdns.append(set_of(sequence(oid("email"), tlv(22, email.encode()))))
    return sequence(*rdns)


def extension(number, value, critical=False):
    return sequence(oid(number), tlv(1, b"\xff") if critical else b"", tlv(4, value))


# Keys and certificates.

class Key:
    def __init__(self, path, kind):
        self.path, self.kind = path, kind
        options = {"rsa": ("RSA", "rsa_keygen_bits:2048"), "ec": ("EC", "ec_paramgen_curve:P-256")}[kind]
        must("openssl", "genpkey", "-algorithm", options[0], "-pkeyopt", options[1], "-out", path)
        self.public = must("openssl", "pkey", "-in", path, "-pubout", "-outform", "DER")

    def sign(self, data):
        return must("openssl", "dgst", "-sha256", "-sign", self.path, data=data)

    def algorithm(self):
        return sequence(oid(self.kind), tlv(5) if self.kind == "rsa" else b"")


class Cert:
    """der, serial, sha256 (hexadecimal); subject and issuer are DER."""

    serials = int(time.time()) << 32

    def __init__(self, key, cn, issuer=None, addresses=(), dn_email=None, since=-DAY, until=365 * DAY, usage=None,
                 eku=("emailProtection",), ca=False, upn=None, at=None):
        Cert.serials += 1
        self.key, self.serial, self.subject = key, Cert.serials, name(cn, dn_email)
        self.issuer = issuer.subject if issuer else self.subject
        signer, now = issuer.key if issuer else key, int(time.time()) if at is None else at
        names = [tlv(0x81, a.encode()) for a in addresses]
        if upn:
            names.append(tlv(0xa0, oid("upn"), tlv(0xa0, utf8(upn))))
        extensions = [self.usage(usage or (["keyCertSign", "cRLSign"] if ca else [
            "digitalSignature", "keyEncipherment" if key.kind == "rsa" else "keyAgreement"]))]
        if ca:
            extensions.append(extension("2.5.29.19", sequence(tlv(1, b"\xff")), True))
        elif eku:
            extensions.append(extension("2.5.29.37", sequence(*[oid(e) for e in eku])))
        if names:
            extensions.append(extension("2.5.29.17", sequence(*names)))
        body = sequence(tlv(0xa0, integer(2)), integer(self.serial), signer.algorithm(), self.issuer,
                        sequence(moment(now + since), moment(now + until)), self.subject, key.public,
                        tlv(0xa3, sequence(*extensions)))
        self.der = sequence(body, signer.algorithm(), tlv(3, b"\0", signer.sign(body)))
        self.sha256 = hashlib.sha256(self.der).hexdigest()

    @staticmethod
    def usage(names):
        bits = sum(0x80 >> USAGE[n] for n in names)
        return extension("2.5.29.15", tlv(3, b"\0" + bytes([bits])), True)

    def pem(self):
        return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(self.der) + b"-----END CERTIFICATE-----\n"

    def issuer_and_serial(self):
        return self.issuer + integer(self.serial)


# Values.

def certs_only(*certs):
    return sequence(oid("signedData"), tlv(0xa0, sequence(
        integer(1), set_of(), sequence(oid("data")), tlv(0xa0, *[c.der for c in certs]), set_of())))


def signed(certs, signer, capabilities=(), preferred=None, by="preference", key=None):
    """RFC 2798 2.8: no content. preferred is named as RFC 8551 2.5.3 or (by="outlook") Outlook does; key: signed with
    another than the signer's."""
    def attribute(number, value):
        return sequence(oid(number), set_of(value))

    attributes = [attribute("contentType", oid("data")),
                  attribute("messageDigest", tlv(4, hashlib.sha256(b"").digest()))]
    if capabilities:
        attributes.append(attribute("capabilities", sequence(*[sequence(oid(c)) for c in capabilities])))
    if preferred:
        attributes.append(attribute(by, tlv(0x30 if by == "outlook" else 0xa0, preferred.issuer_and_serial())))
    signature = (key or signer.key).sign(set_of(*attributes))
    who = sequence(integer(1), sequence(signer.issuer_and_serial()), sequence(oid("sha256")),
                   tlv(0xa0, *sorted(attributes)), signer.key.algorithm(), tlv(4, signature))
    return sequence(oid("signedData"), tlv(0xa0, sequence(
        integer(1), set_of(sequence(oid("sha256"))), sequence(oid("data")), tlv(0xa0, *[c.der for c in certs]),
        set_of(who))))


def outlook(exchange, chain=(), signing=None):
    """MS-OXOABK 2.2.4.36: the settings that are no PKCS#7 object."""
    def setting(tag, data):
        return struct.pack("<HH", tag, len(data) + 4) + data

    out = setting(1, struct.pack("<I", 1)) + setting(6, struct.pack("<I", 1)) + setting(0x20, struct.pack("<I", 3))
    out += setting(0x0b, b"My S/MIME Settings\0") + setting(0x7777, b"something new")
    out += setting(2, sequence(sequence(oid("aes256-cbc")))) + setting(3, exchange.der)
    out += b"".join(setting(4, c.der) for c in chain)
    out += setting(8, signing.der) if signing else b""
    return out + setting(0x22, hashlib.sha1(exchange.der).digest())

"""The mails of postfix_slapd.sh: who there is, what is sent, and what has to become of it.

    mixed_mails.py WORK TOP SEED make LDAPPORT AGAINPORT | mixed|away|back|hangs|end OUTPORT INPORT

What has to become of a mail is decided here, from who takes part, before the mail is sent; the gateway is not asked.
Signatures and envelopes are judged by openssl, MIME by Python's email package.
"""

import base64
import glob
import json
import os
import random
import re
import smtplib
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

WORK, TOP, SEED = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.path.insert(0, os.path.join(TOP, "tests", "support"))
sys.dont_write_bytecode = True
import checks  # noqa: E402
import mailcheck  # noqa: E402
from checks import must, run, say  # noqa: E402
from mailcheck import read, write  # noqa: E402

ENTRIES = 200
SHAPES = [name for name in mailcheck.SHAPES if name != "binary-bytes"]      # SMTP carries no bare CR
KEYS = {"alice": "rsa", "bob": "p256", "erin": "p384"}                      # ours, with keys
PARTNERS = {"carol": "rsa", "dave": "p256"}                                 # theirs, who sign


def path(*names):
    return os.path.join(WORK, *names)


# Who there is.

def shell(function, *arguments):
    must("bash", "-c", '. "$0"; "$@"', os.path.join(TOP, "tests", "support", "people.sh"), function, *arguments)


class Entry:
    """The nth person of the directory. partner.example must be encrypted to, maybe.example may."""

    USELESS = ("expired", "no certificate", "another's", "of a stranger's CA")
    GOOD = ("DER", "certs-only", "RFC 2798", "old and new", "rubbish and good")

    def __init__(self, n):
        self.n = n
        self.domain = "partner.example" if n % 2 == 0 else "maybe.example"
        self.address = "u%03d@%s" % (n, self.domain)
        self.name = "u%03d" % n
        self.key = "rsa" if n % 12 < 2 else "p384" if n % 14 < 2 else "p256"
        half = n // 2
        self.kind = self.USELESS[half % 4] if half % 5 == 4 else self.GOOD[half % 5 + (half // 5) % 2]
        self.good = self.kind not in self.USELESS
        # The issuer of what comes with its chain is in no collection: only its root is.
        self.ca = "chained" if self.kind in ("certs-only", "RFC 2798") else (
            "strangers" if self.kind == "of a stranger's CA" else "partners")

    def pki(self, suffix):
        return path("pki", self.ca, self.name + suffix)

    def make(self):
        address = "someone.else@" + self.domain if self.kind == "another's" else self.address
        days = "-1" if self.kind == "expired" else "365"
        shell("new_person", path("pki", self.ca), self.name, address, self.key, days)
        if self.kind == "old and new":
            os.symlink(self.pki(".key"), path("pki", self.ca, self.name + "-old.key"))
            shell("new_person", path("pki", self.ca), self.name + "-old", address, self.key, "-1")

    def values(self):
        der = must("openssl", "x509", "-in", self.pki(".crt"), "-outform", "DER")
        if self.kind == "no certificate":
            return []
        if self.kind == "certs-only":
            return [("userSMIMECertificate", must("openssl", "crl2pkcs7", "-nocrl", "-certfile", self.pki(".crt"),
                                                  "-certfile", path("pki", self.ca, "ca.crt"), "-outform", "DER"))]
        if self.kind == "RFC 2798":
            return [("userSMIMECertificate",
                     must("openssl", "cms", "-sign", "-outform", "DER", "-signer", self.pki(".crt"), "-inkey",
                          self.pki(".key"), "-certfile", path("pki", self.ca, "ca.crt")))]
        if self.kind == "old and new":
            old = must("openssl", "x509", "-in", self.pki("-old.crt"), "-outform", "DER")
            return [("userCertificate;binary", old), ("userSMIMECertificate", der)]
        if self.kind == "rubbish and good":
            return [("userSMIMECertificate", b"\x30\x82\x01\x00rubbish"), ("userCertificate;binary", der)]
        return [("userCertificate;binary", der)]

    def ldif(self):
        lines = ["dn: cn=%s,ou=people,dc=example,dc=com" % self.name, "objectClass: inetOrgPerson", "cn: " + self.name,
                 "sn: " + self.name, "mail: " + self.address]
        lines += ["%s:: %s" % (name, base64.b64encode(value).decode()) for name, value in self.values()]
        return "\n".join(lines) + "\n\n"


PEOPLE = [Entry(n) for n in range(ENTRIES)]
BY_ADDRESS = {p.address: p for p in PEOPLE}
RESERVED = PEOPLE[-24:]         # written to for the first time when slapd is away


def make(port, again):
    for ca in ("example", "partners", "chained", "strangers"):
        shell("new_ca", path("pki", ca), ca)
    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [pool.submit(shell, "new_person", path("pki", ca), name, "%s@%s" % (name, domain), kind)
                for ca, domain, people in (("example", "example.com", KEYS), ("partners", "partner.example", PARTNERS),
                                           ("strangers", "partner.example", {"mallory": "rsa"}))
                for name, kind in people.items()]
        for job in jobs + [pool.submit(p.make) for p in PEOPLE]:
            job.result()
        ldif = list(pool.map(Entry.ldif, PEOPLE))
    write(path("pki", "strangers", "chain.crt"), read(path("pki", "strangers", "ca.crt")) +
          read(path("pki", "strangers", "root.crt")))
    top = must("sh", os.path.join(TOP, "tests", "support", "slapd.sh"), "top").decode()
    write(path("people.ldif"), top + "".join(ldif))
    os.mkdir(path("keys"), 0o700)
    for name in KEYS:
        write(path("keys", name + ".pem"), read(path("pki", "example", name + ".pem")))
        os.chmod(path("keys", name + ".pem"), 0o600)
    write(path("ldap.secret"), "secret\n")
    os.chmod(path("ldap.secret"), 0o600)
    write_config(port, again)


def write_config(port, again):
    write(path("site.conf"), """
socket = "local:%(w)s/run/milter.sock"; socket_mode = "0666"; user = "nobody"; state_dir = "%(w)s/state"; workers = 2;
authserv_id = "mx.example.com"; local_domains = [ "example.com" ];
internal_hosts = [ "192.0.2.0/24" ]; signing_hosts = [ "192.0.2.10" ]; originating = [ "ORIGINATING" ];
limits = { body_in_memory_kb = 2; };    # most mails go through the spool
reinject = { to = "inet:127.0.0.1:%(a)s"; };
collections = (
  { name = "own"; files = "%(w)s/pki/example/root.crt"; domains = [ "example.com" ]; },
  { name = "partners"; files = [ "%(w)s/pki/partners/root.crt", "%(w)s/pki/partners/ca.crt",
    "%(w)s/pki/chained/root.crt" ]; } );
directories = ( { type = "ldap"; uri = "ldap://127.0.0.1:%(p)s/"; base = "dc=example,dc=com"; timeout_ms = 3000;
  filter = "(mail=%%{address})"; bind_dn = "cn=admin,dc=example,dc=com"; bind_password_file = "%(w)s/ldap.secret"; } );
keystores = ( { type = "pem"; path = "%(w)s/keys"; } );
rules = (
  { id = "strict"; direction = "inbound"; recipient = "strict@example.com"; verify = "reject"; },
  { id = "signed"; direction = "inbound"; recipient = "signedonly@example.com"; require_protection = "signed"; },
  { id = "inbound"; direction = "inbound"; verify = "mark"; collection = [ "partners" ]; },
  { id = "internal"; direction = "internal"; sign = "if-key"; },
  { id = "partner"; direction = "outbound"; recipient = "*@partner.example"; sign = "if-key"; encrypt = "require"; },
  { id = "signer"; direction = "outbound"; recipient = "*@signer.example"; sign = "require"; },
  { id = "default"; direction = "outbound"; sign = "if-key"; encrypt = "if-possible"; }
);
""" % {"w": WORK, "p": port, "a": again})


# What is sent, and what has to become of it.

class Mail:
    """refused: a reply's beginning, or None. The rest says how it arrives; see judge()."""

    def __init__(self, what, sender, recipients, raw, **expected):
        self.what = what
        self.sender = sender
        self.recipients = recipients
        self.raw = mailcheck.crlf(raw)
        self.route = expected.pop("route", "out")
        self.refused = expected.pop("refused", None)
        self.names = expected.pop("names", [])
        self.signed = expected.pop("signed", False)
        self.encrypted = expected.pop("encrypted", False)
        self.plain = expected.pop("plain", [])      # who get it unencrypted all the same
        self.alone = expected.pop("alone", [])      # who are the only recipients of their envelopes
        self.unchanged = expected.pop("unchanged", False)
        self.strict = expected.pop("strict", True)
        self.result = expected.pop("result", None)
        self.maybe_refused = expected.pop("maybe_refused", None)
        assert not expected, expected
        self.id = (mailcheck.field(self.raw, "X-Test-Id") or ["?"])[0]
        self.answer = ""


class Maker:
    """Mails of each kind, by chance; the same for the same seed."""

    def __init__(self, phase):
        self.random = random.Random("%d %s" % (SEED, phase))
        self.phase = phase
        self.count = 0

    def pick(self, people, n=1):
        return [p.address if isinstance(p, Entry) else p for p in self.random.sample(list(people), n)]

    def entries(self, domain, good, reserved=False):
        return [p for p in (RESERVED if reserved else PEOPLE[:-len(RESERVED)])
                if p.domain.startswith(domain) and p.good == good]

    def fields(self, sender, visible):
        self.count += 1
        name = "%s-%03d" % (self.phase, self.count)
        return ("X-Test-Id: %s\nFrom: \"Sender, a\" <%s>\nTo: %s\nSubject: secretsubject %s\n\t=?utf-8?q?gr=C3=BCn?=\n"
                "Date: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <%s@example.com>\n"
                % (name, sender, ",\n ".join("<%s>" % v for v in visible), name, name))

    def text(self, sender, visible, shape=None):
        """(message, whether its end is exact)"""
        shape = shape or self.random.choice(SHAPES)
        fields = self.fields(sender, visible)
        marker = "secretmarker-%s-%03d" % (self.phase, self.count)
        return mailcheck.make(shape, fields, marker), shape in mailcheck.STRICT

    def route(self):
        """A way in which mail of ours comes that may be signed."""
        return self.random.choice(("out", "out", "login", "internal"))

    def outbound(self, what, recipients, sender=None, visible=None, **expected):
        sender = sender or self.random.choice(list(KEYS)) + "@example.com"
        raw, strict = self.text(sender, visible or recipients)
        expected.setdefault("signed", sender.split("@")[0] in KEYS)
        expected.setdefault("route", self.route())
        return Mail(what, sender, recipients, raw, strict=strict, **expected)

    # Outbound.

    def require(self, reserved=False, **expected):
        return self.outbound("require, certificate", self.pick(self.entries("partner", True, reserved)), encrypted=True,
                             **expected)

    def require_several(self):
        n = self.random.randint(2, 4)
        return self.outbound("require, several", self.pick(self.entries("partner", True), n), encrypted=True)

    def require_none(self):
        bad = self.pick(self.entries("partner", False), self.random.randint(1, 2))
        good = self.pick(self.entries("partner", True), self.random.randint(0, 2))
        people = bad + good
        self.random.shuffle(people)
        return self.outbound("require, no certificate", people, refused="550 5.7.5", names=bad)

    def maybe(self, reserved=False, **expected):
        return self.outbound("if-possible, certificate", self.pick(self.entries("maybe", True, reserved)),
                             encrypted=True, **expected)

    def maybe_none(self, reserved=False, **expected):
        people = self.pick(self.entries("maybe", False, reserved))
        return self.outbound("if-possible, no certificate", people, **expected)

    def maybe_mixed(self):
        bad = self.pick(self.entries("maybe", False), self.random.randint(1, 2))
        people = self.pick(self.entries("maybe", True), self.random.randint(1, 2)) + bad
        self.random.shuffle(people)
        return self.outbound("recipients disagree", people, encrypted=True, plain=bad)

    def both_rules(self):
        people = self.pick(self.entries("maybe", True)) + self.pick(self.entries("partner", True))
        return self.outbound("two rules, one treatment", people, encrypted=True)

    def public(self, **expected):
        people = ["somebody%d@public.example" % self.random.randint(0, 999) for _ in range(self.random.randint(1, 3))]
        return self.outbound("nobody in the directory", sorted(set(people)), **expected)

    def no_key(self):
        kind = self.random.randint(0, 2)
        if kind == 0:
            return self.outbound("no key, if-key", ["x@public.example"], "nokey@example.com", unchanged=True)
        if kind == 1:
            return self.outbound("no key, encrypted", self.pick(self.entries("partner", True)), "nokey@example.com",
                                 encrypted=True)
        return self.outbound("no key, require", ["x@signer.example"], "nokey@example.com", refused="550 5.7.5",
                             names=["nokey@example.com"])

    def filter(self):
        """From a content filter's port: a stranger who says From: alice."""
        raw, _ = self.text("alice@example.com", ["x@public.example"])
        if self.random.random() < 0.3:
            raw = raw.replace(b"x@public", b"x@signer")
            return Mail("re-entered, signature required", "ceo@elsewhere.example", ["x@signer.example"], raw,
                        refused="550 5.7.5")
        return Mail("re-entered, not signed", "ceo@elsewhere.example", ["x@public.example"], raw, unchanged=True)

    def internal(self):
        people = self.pick(["bob@example.com", "erin@example.com", "frank@example.com"], self.random.randint(1, 2))
        sender = self.random.choice(["alice@example.com", "bob@example.com", "nokey@example.com"])
        return self.outbound("internal", people, sender, result="none", unchanged=sender.startswith("nokey"))

    def report(self):
        kind = self.random.choice(("headers", "headers", "whole", "good"))
        to = self.pick(self.entries("partner", kind == "good"))
        third = {"whole": "message/rfc822\n\nFrom: <a@b.example>\nSubject: s\n\nThe secretmarker text\n"}.get(
            kind, "text/rfc822-headers\n\nFrom: <a@b.example>\nSubject: s\n")
        raw = (self.fields("mailer-daemon@example.com", to) + "MIME-Version: 1.0\n"
               "Content-Type: multipart/report; report-type=delivery-status; boundary=r\n\n--r\n\nNot delivered.\n"
               "--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n"
               "Final-Recipient: rfc822; x@example.com\nAction: failed\nStatus: 5.1.1\n\n--r\n"
               "Content-Type: " + third + "\n--r--\n").encode()
        if kind == "whole":
            return Mail("report with a body obeys require", "", to, raw, refused="550 5.7.5", names=to)
        if kind == "good":
            return Mail("report, encrypted", "", to, raw, encrypted=True)
        return Mail("report without a body goes on", "", to, raw, unchanged=True)

    # Signed or encrypted before it came.

    def sign(self, ca, name, form, entity, fields, chain=None):
        person = path("pki", ca, name)
        out = must("openssl", "cms", "-sign", "-binary", "-crlfeol", "-signer", person + ".crt", "-inkey",
                   person + ".key", "-certfile", chain or path("pki", ca, "ca.crt"), *(["-nodetach"] if form == "opaque" else []),
                   data=mailcheck.crlf(entity))
        return fields.encode() + out.replace(b"\r\n", b"\n")

    def entity(self):
        return ("Content-Type: text/plain; charset=us-ascii\n\nThe secretmarker-%s-%03d is 100.\n"
                % (self.phase, self.count + 1)).encode()

    def already_signed(self):
        entity, form = self.entity(), self.random.choice(("clear", "opaque"))
        if self.random.random() < 0.5:
            to = self.pick(self.entries("partner", True))
            raw = self.sign("example", "alice", form, entity, self.fields("alice@example.com", to))
            return Mail("signed already, encrypted", "alice@example.com", to, raw, encrypted=True)
        raw = self.sign("example", "alice", form, entity, self.fields("alice@example.com", ["x@public.example"]))
        return Mail("signed already", "alice@example.com", ["x@public.example"], raw, unchanged=True)

    def already_encrypted(self):
        to = self.pick(self.entries("partner", True))
        raw = self.fields("alice@example.com", to).encode() + must(
            "openssl", "cms", "-encrypt", "-aes-256-cbc", "-binary", BY_ADDRESS[to[0]].pki(".crt"),
            data=mailcheck.crlf(self.entity()))
        return Mail("encrypted already", "alice@example.com", to, raw, unchanged=True)

    def hidden(self):
        to = self.pick(self.entries("partner", True), self.random.randint(2, 4))
        return self.outbound("Bcc of an encrypted mail", to, visible=to[:1], encrypted=True, alone=to[1:])

    # Inbound.

    FORGED = ("Authentication-Results: mx.example.com; smime=pass body.smime-identifier=forged@partner.example\n"
              "Authentication-Results: (x) \"MX.example.COM\" 1; dkim=pass header.d=kept.example;\n smime=pass\n"
              "Authentication-Results: other.example; smime=pass header.x=kept\n"
              "X-SMIME-Layer: mx.example.com; layer=1; type=signed; result=pass; signer=forged@partner.example\n")

    def inbound(self, what, sender, raw, **expected):
        to = expected.pop("to", None) or self.random.choice(("bob@example.com", "frank@example.com"))
        expected.setdefault("route", self.random.choice(("in", "foreign")))
        return Mail(what, sender, [to], raw.replace(b"TO@example.com", to.encode()), unchanged=True, **expected)

    def partner_fields(self, address):
        return self.FORGED + self.fields(address, ["TO@example.com"])

    def inbound_signed(self, result="pass", who="carol", ca="partners", what="inbound, signed", **expected):
        form, entity = self.random.choice(("clear", "opaque")), self.entity()
        who = self.random.choice(list(PARTNERS)) if who == "carol" else who
        address = expected.pop("address", "%s@partner.example" % who)
        raw = self.sign(ca, who, form, entity, self.partner_fields(address), expected.pop("chain", None))
        return self.inbound(what, address, raw, result=result, **expected)

    def inbound_tampered(self):
        entity = self.entity()
        raw = self.sign("partners", "carol", "clear", entity, self.partner_fields("carol@partner.example"))
        raw = raw.replace(b"is 100.", b"is 900.")
        if self.random.random() < 0.4:
            return self.inbound("inbound, tampered, refused", "carol@partner.example", raw, to="strict@example.com",
                                refused="550 5.7.7")
        return self.inbound("inbound, tampered", "carol@partner.example", raw, result="fail")

    def inbound_untrusted(self):
        if self.random.random() < 0.4:
            return self.inbound_signed(None, "mallory", "strangers", "inbound, untrusted, refused",
                                       to="strict@example.com", refused="550 5.7.1")
        if self.random.random() < 0.4:
            return self.inbound_signed("permerror", "mallory", "strangers", "inbound, chain not to be completed")
        return self.inbound_signed("fail", "mallory", "strangers", "inbound, untrusted",
                                   chain=path("pki", "strangers", "chain.crt"))

    def inbound_mismatch(self):
        return self.inbound_signed("policy", address="boss@partner.example", what="inbound, another's address")

    def inbound_plain(self):
        raw, _ = self.text("carol@partner.example", ["TO@example.com"])
        raw = self.FORGED.encode() + raw
        if self.random.random() < 0.4:
            return self.inbound("inbound, must be signed", "carol@partner.example", raw, to="signedonly@example.com",
                                refused="550 5.7.1")
        return self.inbound("inbound, plain", "carol@partner.example", raw, result="none")

    def inbound_part(self):
        entity = self.entity()
        signed = self.sign("partners", "carol", "clear", entity, "")
        signed = signed[signed.index(b"Content-Type"):]
        fields = self.partner_fields("carol@partner.example")
        raw = (fields + "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=out\n\n--out\n\nRead this first.\n"
               "--out\n").encode() + signed + b"\n--out--\n"
        return self.inbound("inbound, signed in a part", "carol@partner.example", raw, result="none")

    def inbound_encrypted(self):
        body = must("openssl", "cms", "-encrypt", "-aes-128-cbc", "-binary", path("pki", "example", "bob.crt"),
                    data=mailcheck.crlf(self.entity()))
        raw = self.partner_fields("carol@partner.example").encode() + body
        return self.inbound("inbound, encrypted", "carol@partner.example", raw, result="neutral")


MIXTURE = (("require", 20), ("require_several", 12), ("require_none", 12), ("maybe", 16), ("maybe_none", 14),
           ("maybe_mixed", 6), ("both_rules", 6), ("public", 10), ("no_key", 8), ("filter", 6), ("internal", 14),
           ("report", 8), ("already_signed", 8), ("already_encrypted", 8), ("hidden", 4), ("inbound_signed", 14),
           ("inbound_tampered", 10), ("inbound_untrusted", 4), ("inbound_mismatch", 4), ("inbound_plain", 8),
           ("inbound_part", 4), ("inbound_encrypted", 4))


def mixed():
    maker = Maker("mixed")
    mails = [getattr(maker, name)() for name, count in MIXTURE for _ in range(count)]
    maker.random.shuffle(mails)
    assert len(mails) == 200
    return mails


def away():
    """Known certificates may still serve; who was never asked for, or is remembered to have none, waits."""
    maker = Maker("away")
    later = {"refused": "451 4.4.3"}
    mails = [make(reserved=True, **later) for make in (maker.require, maker.maybe, maker.maybe_none) for _ in range(4)]
    mails += [make(**later) for make in (maker.maybe_none, maker.public) for _ in range(4)]
    mails += [maker.require(maybe_refused="451 4.4.3") for _ in range(4)]
    mails += [maker.maybe(maybe_refused="451 4.4.3") for _ in range(4)]
    return mails + [maker.internal() for _ in range(3)] + [maker.inbound_signed() for _ in range(3)]


def back():
    maker = Maker("back")
    mails = [make(reserved=True) for make in (maker.require, maker.maybe, maker.maybe_none) for _ in range(3)]
    return mails + [maker.public(), maker.require_none(), maker.maybe_mixed()]


def hangs():
    maker = Maker("hangs")
    return [maker.public(refused="451 4.4.3"), maker.maybe_none(refused="451 4.4.3"), maker.inbound_signed()]


# Sending.

ROUTES = {"out": ("out", ""), "in": ("in", ""), "login": ("in", "LOGIN=me"), "internal": ("in", "ADDR=192.0.2.10"),
          "foreign": ("in", "NAME=mx.partner.example ADDR=198.51.100.7")}


def send(mail, ports):
    listener, xclient = ROUTES[mail.route]
    with smtplib.SMTP("127.0.0.1", ports[listener], "client.test", timeout=60) as smtp:
        smtp.ehlo()
        if xclient:
            smtp.docmd("XCLIENT", xclient)
            smtp.ehlo()
        smtp.docmd("MAIL", "FROM:<%s> BODY=8BITMIME" % mail.sender)
        for recipient in mail.recipients:
            code, text = smtp.rcpt(recipient)
            if code != 250:
                mail.answer = "RCPT: %d %s" % (code, text.decode())
                return
        code, text = smtp.data(mail.raw)
        mail.answer = "%d %s" % (code, text.decode())


def arrived():
    """{(test id, recipient): [file]}"""
    found = {}
    for name in glob.glob(path("postfix", "mail", "*", "*", "*.eml")):
        domain, user = name.split(os.sep)[-3:-1]
        test_id = mailcheck.field(read(name), "X-Test-Id")
        found.setdefault((test_id[0] if test_id else "?", user + "@" + domain), []).append(name)
    return found


def queue_is_empty():
    """Internal notifications of Postfix itself count, too."""
    rc, out, _ = run("postqueue", "-c", path("postfix", "postfix"), "-j")
    return rc == 0 and not out.strip()


# Judging.

def openssl_verify(entity, ca):
    rc, out, text = run("openssl", "cms", "-verify", "-CAfile", path("pki", ca, "root.crt"), "-purpose", "smimesign",
                        data=entity)
    return (out, "") if rc == 0 else (None, "signature: " + text)


def unwrap(mail, recipient, raw):
    """The entity that is in an arrived mail, through its envelope and its signature; or what is wrong."""
    now = raw
    if mail.encrypted and recipient not in mail.plain:
        kind = mailcheck.field(now, "Content-Type")[0]
        if "application/pkcs7-mime" not in kind or "nveloped-data" not in kind:
            return None, "not encrypted: " + kind
        entry = BY_ADDRESS[recipient]
        readers = run("openssl", "cms", "-cmsout", "-print", data=raw)[1].count(b"issuerAndSerialNumber")
        if readers != (1 if recipient in mail.alone else len(mail.recipients) - len(mail.plain) - len(mail.alone)):
            return None, "encrypted to %d" % readers
        rc, now, text = run("openssl", "cms", "-decrypt", "-inkey", entry.pki(".key"), "-recip", entry.pki(".crt"),
                            data=raw)
        if rc != 0:
            return None, "does not decrypt: " + text
    if not mail.signed:
        return now, ""
    if not mailcheck.field(now, "Content-Type")[0].startswith("multipart/signed"):
        return None, "not signed: " + mailcheck.field(now, "Content-Type")[0]
    return openssl_verify(now, "example")


OURS = ("received", "authentication-results", "x-smime-layer")


def judge_fields(mail, raw):
    if mailcheck.others(mail.raw, OURS) != mailcheck.others(raw, OURS):
        return "other fields than before"
    results = mailcheck.field(raw, "Authentication-Results")
    own = [r for r in results if r.lower().startswith(("mx.example.com", '(x) "mx.example.com"')) and "smime=" in r]
    if any("forged" in field for field in results + mailcheck.field(raw, "X-SMIME-Layer")):
        return "forged fields are there"
    if mail.result is None:
        return "a result on outbound mail" if own else ""
    if len(own) != 1 or not re.match(r"mx\.example\.com; smime=%s\b" % mail.result, own[0]):
        return "results %s, not %s" % (own, mail.result)
    if b"kept.example" in mail.raw and len([r for r in results if "kept" in r]) != 2:
        return "results of others are gone: %s" % results
    return ""


def judge_copy(mail, recipient, name):
    raw = mailcheck.crlf(read(name))
    why = judge_fields(mail, raw)
    if why:
        return why
    if mail.encrypted and recipient not in mail.plain and b"secretmarker" in raw:
        return "plaintext"
    if mail.unchanged:
        mime = [[f for f in mailcheck.split(m)[0] if mailcheck.is_mime(f)] for m in (mail.raw, raw)]
        same = mime[0] == mime[1] and mailcheck.split(mail.raw)[1].rstrip() == mailcheck.split(raw)[1].rstrip()
        return "" if same else "it has changed"
    entity, why = unwrap(mail, recipient, raw)
    return why or mailcheck.same(mail.raw, entity, mail.strict)


def judge(mail, files):
    """'' or what is wrong with what became of a mail."""
    here = [f for r in mail.recipients for f in files.get((mail.id, r), [])]
    refused = mail.refused or (mail.maybe_refused if not mail.answer.startswith("250") else None)
    if refused:
        if not mail.answer.startswith(refused):
            return "answered " + mail.answer
        if [n for n in mail.names if "<%s>" % n not in mail.answer]:
            return "does not name who: " + mail.answer
        if "secret" in mail.answer or "\n" in mail.answer:
            return "a reply that says too much: " + mail.answer
        return "refused, but arrived" if here else ""
    if not mail.answer.startswith("250"):
        return "answered " + mail.answer
    for recipient in mail.recipients:
        copies = files.get((mail.id, recipient), [])
        why = judge_copy(mail, recipient, copies[0]) if len(copies) == 1 else "%d copies" % len(copies)
        if why:
            return "%s: %s" % (recipient, why)
    return ""


def play(phase, ports):
    mails = {"mixed": mixed, "away": away, "back": back, "hangs": hangs}[phase]()
    start = time.time()
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda mail: send(mail, ports), mails))
    sent = time.time() - start
    wanted = sum(len(m.recipients) for m in mails if m.answer.startswith("250"))
    for _ in range(600):
        files = arrived()
        if sum(key[0].startswith(phase + "-") for key in files) >= wanted and queue_is_empty():
            break
        time.sleep(0.1)
    with ThreadPoolExecutor(max_workers=2) as pool:
        verdicts = list(pool.map(lambda mail: judge(mail, files), mails))
    write(path("sent", phase + ".json"), json.dumps([(m.id, m.what, m.answer) for m in mails]))
    for what in sorted({m.what for m in mails}):
        own = [(m, why) for m, why in zip(mails, verdicts) if m.what == what]
        bad = ["%s %s" % (m.id, why) for m, why in own if why]
        say(not bad, "%s: %s (%d mails)" % (phase, what, len(own)), "%d: %s" % (len(bad), "; ".join(bad[:3])[:700]))
    if phase == "away":
        out = [f for (_, recipient), names in files.items() if not recipient.endswith("@example.com") for f in names
               if mailcheck.field(read(f), "X-Test-Id")[0].startswith("away-")]
        say(all(b"nveloped-data" in read(f) for f in out), "away: nothing went out in plaintext (of %d)" % len(out))
    say(not any(verdicts), "%s: %d mails are all treated as the rules say" % (phase, len(mails)))
    print("# %s: %d mails in %.1f s" % (phase, len(mails), sent))


def end():
    """What is left behind when all is done."""
    sent = [m for name in glob.glob(path("sent", "*.json")) for m in json.loads(read(name))]
    log = read(path("gateway.log")).decode("latin-1").splitlines()
    ids = re.findall(r": ([0-9A-Za-z]+): action=\S+ result=\S+ rule=", "\n".join(log))
    queued = [m[2].rpartition(" ")[2] for m in sent if "queued as" in m[2]]
    say(len(ids) == len(sent) and not Counter(queued) - Counter(ids), "one log line a message, with its queue id",
        "%d lines, %d messages" % (len(ids), len(sent)))
    say(all(len(line) <= 930 for line in log), "log lines are short")
    say(queue_is_empty(), "Postfix's queue is empty")
    leaks = [name for top in ("state", "run") for name in glob.glob(path(top, "**"), recursive=True)
             if os.path.isfile(name) and b"secret" in read(name)]
    say(not leaks, "no plaintext in what the gateway keeps", " ".join(leaks))
    say("secretmarker" not in "\n".join(log) and "secretsubject" not in "\n".join(log), "no plaintext in the log")
    notifications = glob.glob(path("postfix", "mail", "*", "*", "*.eml"))
    passes = [n for n in notifications if mailcheck.field(read(n), "X-SMIME-Milter-Pass")]
    say(not passes, "the loop guard's field stays here", " ".join(passes[:3]))
    known = {m[0] for m in sent}
    strange = [n for n in notifications if (mailcheck.field(read(n), "X-Test-Id") or ["?"])[0] not in known]
    say(not strange, "nothing else was delivered", " ".join(strange[:3]))


def main():
    command = sys.argv[4]
    if command == "make":
        make(sys.argv[5], sys.argv[6])
    elif command == "end":
        end()
    else:
        play(command, {"out": int(sys.argv[5]), "in": int(sys.argv[6])})
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())

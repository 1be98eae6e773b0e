#!/usr/bin/env python3
"""Certificates from the DNS (RFC 8162): zones that are signed here and served by a private nsd on the loopback interface,
with their own trust anchor. Certificates are made by openssl, digests and names of records by this script.

Usage: tests/e2e/smimea.py [BUILDDIR]; default ".".
"""

import concurrent.futures
import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
import checks  # noqa: E402
import daemon  # noqa: E402
from checks import must, say  # noqa: E402
from milter_client import MilterClient, send_message  # noqa: E402

ZONE = "signed.example"
PLAIN = "plain." + ZONE                 # not signed
OLD = "old.example"                     # signed long ago
IDN_ZONE = "xn--bcher-kva.example"


def owner(local, domain):
    return hashlib.sha256(local.encode()).hexdigest()[:56] + "._smimecert." + domain + "."


def record(usage, selector, matching, data):
    """In the form of unknown types (RFC 3597), so that no tool's reading of SMIMEA stands between."""
    rdata = bytes((usage, selector, matching)) + data
    return "TYPE53 \\# %d %s" % (len(rdata), rdata.hex())


class Authority:
    def __init__(self, directory, name):
        self.directory, self.name, self.count = directory, name, 0
        self.make(name, "/CN=" + name, ["-addext", "basicConstraints=critical,CA:TRUE",
                                        "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    def path(self, name, suffix):
        return os.path.join(self.directory, name + suffix)

    def make(self, name, subject, arguments, key=("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")):
        must("openssl", "genpkey", *key, "-out", self.path(name, ".key"))
        must("openssl", "req", "-x509", "-new", "-key", self.path(name, ".key"), "-subj", subject, "-days", "30", "-out",
             self.path(name, ".pem"), *arguments)

    def person(self, address, rsa=False):
        """The DER of a new certificate."""
        self.count += 1
        name = "%s-%d" % (self.name, self.count)
        key = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048") if rsa else \
            ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        self.make(name, "/CN=" + name, [
            "-CA", self.path(self.name, ".pem"), "-CAkey", self.path(self.name, ".key"),
            "-addext", "basicConstraints=CA:FALSE", "-addext", "extendedKeyUsage=emailProtection",
            "-addext", "keyUsage=critical,digitalSignature," + ("keyEncipherment" if rsa else "keyAgreement"),
            "-addext", "subjectAltName=email:" + address], key)
        return must("openssl", "x509", "-in", self.path(name, ".pem"), "-outform", "DER")

    def spki(self, der):
        return must("openssl", "pkey", "-pubin", "-outform", "DER",
                    data=must("openssl", "x509", "-inform", "DER", "-noout", "-pubkey", data=der))


class Zone:
    """A zone file, its keys, and what is put in after signing."""

    def __init__(self, directory, name):
        self.directory, self.name = directory, name
        self.lines = ["$ORIGIN %s." % name, "$TTL 300", "@ SOA ns.%s. root.%s. 1 3600 600 86400 60" % (name, name),
                      "@ NS ns.%s." % name, "ns.%s. A 127.0.0.1" % name]
        self.key = None

    def add(self, name, rdata):
        self.lines.append("%s %s" % (name, rdata))

    def person(self, local, *rdata):
        for each in rdata:
            self.add(owner(local, self.name), each)

    def file(self, suffix=""):
        return os.path.join(self.directory, self.name + ".zone" + suffix)

    def write(self):
        with open(self.file(), "w") as f:
            f.write("\n".join(self.lines) + "\n")

    def sign(self, *options):
        self.write()
        done = subprocess.run(["ldns-keygen", "-k", "-a", "ECDSAP256SHA256", self.name], cwd=self.directory,
                              capture_output=True, text=True, check=True)
        self.key = os.path.join(self.directory, done.stdout.strip())
        must("ldns-signzone", *options, "-f", self.file(".signed"), self.file(), self.key)

    def anchor(self):
        with open(self.key + ".ds") as f:
            return f.read()

    def spoil(self, name):
        """Turns a byte of the signature over a name's records."""
        with open(self.file(".signed")) as f:
            lines = f.read().split("\n")
        for i, line in enumerate(lines):
            fields = line.split()
            if len(fields) > 12 and fields[0] == name and fields[3] == "RRSIG" and fields[4] in ("SMIMEA", "TYPE53"):
                fields[12] = ("A" if fields[12][0] != "A" else "B") + fields[12][1:]
                lines[i] = " ".join(fields)
                break
        else:
            raise SystemExit("no signature over " + name)
        with open(self.file(".signed"), "w") as f:
            f.write("\n".join(lines))


class Server:
    """nsd, in the foreground."""

    def __init__(self, directory, zones):
        self.directory, self.process = directory, None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        with open(os.path.join(directory, "nsd.conf"), "w") as f:
            f.write('server:\n ip-address: 127.0.0.1@%d\n username: ""\n zonesdir: "%s"\n pidfile: ""\n database: ""\n'
                    ' zonelistfile: "%s/zone.list"\n xfrdfile: "%s/xfrd.state"\n xfrdir: "%s"\n server-count: 1\n'
                    'remote-control:\n control-enable: no\n' % ((self.port,) + (directory,) * 4))
            for name, file in zones:
                f.write('zone:\n name: "%s"\n zonefile: "%s"\n' % (name, file))

    def start(self):
        with open(os.path.join(self.directory, "nsd.log"), "a") as log:
            self.process = subprocess.Popen(["nsd", "-d", "-c", os.path.join(self.directory, "nsd.conf")], stdout=log,
                                            stderr=log, start_new_session=True)
        for _ in range(900):
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return self
            except OSError:
                time.sleep(0.1)
        with open(os.path.join(self.directory, "nsd.log")) as f:
            raise SystemExit("nsd does not start: " + f.read())

    def signal(self, number):
        """nsd is several processes, in a group of their own."""
        os.killpg(self.process.pid, number)

    def stop(self):
        if self.process is not None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


class Gateway:
    def __init__(self, build, world):
        self.build, self.world = build, world
        self.directory, self.conf = world.directory, os.path.join(world.directory, "gateway.conf")
        self.files = os.path.join(world.directory, "files")
        os.mkdir(self.files)

    def configure(self, settings="", files=False, encrypt="require", anchor_file=None, port=None, cut_ms=60000):
        """settings: of the smimea directory; files: certificates that another directory has."""
        shutil.rmtree(self.files)
        os.mkdir(self.files)
        for number, der in enumerate(files or []):
            with open(os.path.join(self.files, "%d.cer" % number), "wb") as f:
                f.write(der)
        directories = ['{ type = "smimea"; trust_anchor_file = "%s"; resolver = "127.0.0.1@%d"; timeout_ms = %d; %s }' %
                       (anchor_file or self.world.anchor, port or self.world.server.port, cut_ms, settings)]
        if files:
            directories.append('{ type = "files"; path = "%s"; }' % self.files)
        with open(self.conf, "w") as f:
            f.write('local_domains = [ "example.com" ];\nstate_dir = "%s/state";\n'
                    'collections = ( { name = "partners"; files = "%s"; } );\ndirectories = ( %s );\n'
                    'rules = ( { id = "out"; direction = "outbound"; sign = "no"; encrypt = "%s"; } );\n' %
                    (self.directory, self.world.authority.path("Root", ".pem"), ", ".join(directories), encrypt))
        return self

    def ctl(self, *arguments, data=b""):
        return checks.run(os.path.join(self.build, "smimectl"), "-c", self.conf, *arguments, data=data)

    def find(self, address):
        """Exit status, the list, and what was asked."""
        rc, out, text = self.ctl("certs", "find", address)
        return rc, [line.split("\t") for line in out.decode().splitlines()], text

    def used(self, address):
        """The digest of the certificate that is used; else why none is."""
        rc, lines, text = self.find(address)
        usable = [line[4] for line in lines if line[1] == "usable"]
        return usable[0] if rc == 0 and usable else "%d %s %s" % (rc, lines, text)

    def process(self, *recipients):
        """The reply's code to mail from here, and whether it was encrypted to each."""
        out = tempfile.mkdtemp(dir=self.directory)
        arguments = [a for r in recipients for a in ("--rcpt", r)]
        rc, _, text = self.ctl("process", "--auth", "a@example.com", "--from", "a@example.com", *arguments, "--out", out,
                               data=b"From: a@example.com\r\nTo: b@x.example\r\nSubject: s\r\nMIME-Version: 1.0\r\n"
                                    b"Content-Type: text/plain\r\n\r\nhello\r\n")
        try:
            with open(os.path.join(out, "outcome.json")) as f:
                outcome = json.load(f)
        except OSError:
            return "%d %s" % (rc, text)
        finally:
            shutil.rmtree(out)
        reply = outcome["reply"][:3] or "250"
        return reply + (" encrypted" if all(r["encrypted_to"] for r in outcome["recipients"]) else "")


def sha256(der):
    return hashlib.sha256(der).hexdigest()



class Proxy:
    """A resolver that is in the way: what it makes of a query, and what it answers in nsd's place."""

    def __init__(self, port):
        self.server = ("127.0.0.1", port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.mode = "pass"
        threading.Thread(target=self.run, daemon=True).start()

    @staticmethod
    def type_of(query):
        at = 12
        while query[at]:
            at += query[at] + 1
        return struct.unpack(">H", query[at + 1:at + 3])[0]

    def answer(self, query):
        if self.mode != "strip" and self.type_of(query) == 53:
            return None if self.mode == "drop" else query[:2] + b"\x81\x82" + query[4:12] + query[12:]
        if self.mode == "strip":        # without DO nobody sends signatures
            query = query.replace(b"\0\0\x29\x04\xd0\0\0\x80", b"\0\0\x29\x04\xd0\0\0\0")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(10)
            s.sendto(query, self.server)
            return s.recv(65535)

    def run(self):
        while True:
            try:
                query, client = self.socket.recvfrom(65535)
                answer = self.answer(query)
                if answer is not None:
                    self.socket.sendto(answer, client)
            except socket.timeout:
                pass
            except OSError:
                return

    def close(self):
        self.socket.close()


class World:
    """Zones, people and their certificates, the server and the gateway."""

    def __init__(self, build, directory):
        self.directory = directory
        self.authority = Authority(directory, "Root")
        self.stranger = Authority(directory, "Stranger")
        self.certs = {}
        self.zones = {name: Zone(directory, name) for name in (ZONE, IDN_ZONE, PLAIN, OLD)}
        self.people()
        self.aliases()
        signed = [ZONE, IDN_ZONE, OLD]
        self.zones[ZONE].sign("-n")                 # NSEC3 here, NSEC there
        self.zones[IDN_ZONE].sign()
        self.zones[OLD].sign("-i", "20200101", "-e", "20200201")
        self.zones[PLAIN].write()
        self.zones[ZONE].spoil(owner("spoilt", ZONE))
        self.anchor = os.path.join(directory, "anchors")
        with open(self.anchor, "w") as f:
            f.write("; ours\n\n" + "".join(self.zones[name].anchor() for name in signed))
        self.server = Server(directory, [(name, self.zones[name].file(".signed")) for name in signed] +
                             [(PLAIN, self.zones[PLAIN].file())]).start()
        self.gateway = Gateway(build, self)

    def cert(self, name, address, authority=None, rsa=False):
        self.certs[name] = (authority or self.authority).person(address, rsa)
        return self.certs[name]

    def person(self, name, *kinds, zone=ZONE, authority=None, at=None):
        """A certificate, and records about it."""
        cert = self.cert(name, "%s@%s" % (name, zone), authority)
        self.zones[zone].person(at or name, *(self.said_of(cert, *kind) for kind in kinds))

    def said_of(self, cert, usage, selector, matching):
        data = self.authority.spki(cert) if selector else cert
        return record(usage, selector, matching, [bytes, lambda d: hashlib.sha256(d).digest(),
                                                  lambda d: hashlib.sha512(d).digest()][matching](data))

    def people(self):
        for name, kind in (("ee", (3, 0, 0)), ("pkix", (1, 0, 0)), ("digest", (3, 0, 1)), ("digest512", (1, 0, 2)),
                           ("key", (3, 1, 0)), ("keydigest", (3, 1, 1)), ("spoilt", (3, 0, 0)), ("erin", (3, 0, 0))):
            self.person(name, kind)
        self.person("outsider", (3, 0, 0), authority=self.stranger)
        self.person("outsiderpkix", (1, 0, 0), authority=self.stranger)
        self.person("outsiderdigest", (3, 1, 1), authority=self.stranger)
        self.person("Frank", (3, 0, 0))
        self.person("heidi", (3, 0, 0), zone=PLAIN)
        self.person("olga", (3, 0, 0), zone=OLD)
        self.person("jan", (3, 0, 0), zone=IDN_ZONE)
        self.cert("other", "digest@" + ZONE)
        self.cert("renewed", "ee@" + ZONE)
        both = self.cert("both", "both@" + ZONE)
        root = must("openssl", "x509", "-in", self.authority.path("Root", ".pem"), "-outform", "DER")
        self.zones[ZONE].person("ca", record(2, 0, 1, hashlib.sha256(root).digest()), record(0, 0, 0, root))
        self.cert("ca", "ca@" + ZONE)
        self.zones[ZONE].person("both", record(7, 0, 0, b"x"), record(3, 9, 0, b"x"), record(3, 0, 9, b"x"),
                                record(3, 0, 1, b"short"), record(3, 0, 0, b"\x30\x03\x02\x01\x01"),
                                record(3, 0, 0, both))
        many = [self.cert("many%d" % i, "many@" + ZONE, rsa=True) for i in range(20)]
        self.zones[ZONE].person("many", *(record(3, 0, 0, cert) for cert in many))
        for i in range(40):
            self.cert("crowd%d" % i, "crowd%d@%s" % (i, ZONE))
            self.zones[ZONE].person("crowd%d" % i, record(3, 0, 0, self.certs["crowd%d" % i]))

    def aliases(self):
        zone = self.zones[ZONE]
        self.cert("wild", "anybody@wild." + ZONE)
        zone.add("*._smimecert.wild.%s." % ZONE, record(3, 0, 0, self.certs["wild"]))
        self.cert("alias", "alias@" + ZONE)
        zone.person("alias", "CNAME target.%s." % ZONE)
        zone.add("target.%s." % ZONE, record(3, 0, 0, self.certs["alias"]))
        zone.person("lost", "CNAME " + owner("heidi", PLAIN))
        self.cert("moved", "moved@renamed." + ZONE)
        zone.add("renamed.%s." % ZONE, "DNAME elsewhere.%s." % ZONE)
        zone.add(owner("moved", "elsewhere." + ZONE), record(3, 0, 0, self.certs["moved"]))
        zone.add("away.%s." % ZONE, "CNAME %s." % PLAIN)
        zone.add(PLAIN + ".", "NS ns.%s." % PLAIN)
        zone.add("ns.%s." % PLAIN, "A 127.0.0.1")
        self.cert("jaen", "ja@" + IDN_ZONE)
        self.zones[IDN_ZONE].person("j\u00e4n", record(3, 0, 0, self.certs["jaen"]))

    def newest(self, prefix):
        """Of certificates whose names begin so, the one that is chosen: latest notBefore, then notAfter, then digest."""
        def rank(name):
            text = must("openssl", "x509", "-inform", "DER", "-noout", "-startdate", "-enddate", "-dateopt", "iso_8601",
                        data=self.certs[name])
            return text.decode().split("\n")[:2], [-byte for byte in hashlib.sha256(self.certs[name]).digest()]
        return max((name for name in self.certs if name.startswith(prefix)), key=rank)

    def close(self):
        self.server.stop()


def used(world, text, address, name):
    got = world.gateway.used(address)
    say(got == sha256(world.certs[name]), text, got)


def refused(world, text, address, reason):
    """Found, and refused for this reason."""
    rc, lines, said = world.gateway.find(address)
    say(rc == 1 and lines and all(line[1] == "refused" and reason in line[6] for line in lines), text,
        "%d %s %s" % (rc, lines, said))


def none(world, text, address, reason="none"):
    rc, lines, said = world.gateway.find(address)
    say(rc == 1 and not lines and reason in said, text, "%d %s %s" % (rc, lines, said))


def failed(world, text, address, reason):
    rc, lines, said = world.gateway.find(address)
    say(rc == 4 and "could not ask" in said and reason in said, text, "%d %s %s" % (rc, lines, said))
    got = world.gateway.process(address)
    say(got == "451", text + ": mail is tried again later", got)


def check_usages(world):
    gateway = world.gateway.configure()
    used(world, "usage 3 with the certificate", "ee@" + ZONE, "ee")
    used(world, "usage 1 with the certificate", "pkix@" + ZONE, "pkix")
    say(gateway.process("ee@" + ZONE) == "250 encrypted", "a mail is encrypted to it")
    for name in ("digest", "digest512", "key", "keydigest", "ca"):
        address = name + "@" + ZONE
        gateway.configure()
        none(world, "%s alone is no certificate" % name, address, "SMIMEA ")
        gateway.configure(files=[world.certs[name]])
        used(world, "%s, and the certificate from elsewhere" % name, address, name)
        lines = gateway.find(address)[1]
        say(("confirmed by " in lines[0][5]) == (name != "ca"), "%s: what is confirmed says so" % name, str(lines))
    gateway.configure(files=[world.certs["other"]])
    used(world, "what is not named counts where the directory is not trusted", "digest@" + ZONE, "other")
    gateway.configure("trusted = true;", files=[world.certs["other"]])
    refused(world, "and is refused where it is", "digest@" + ZONE, "RFC 8162")
    gateway.configure("trusted = true;", files=[world.certs["renewed"]])
    used(world, "also beside the one that is named", "ee@" + ZONE, "ee")
    gateway.configure("trusted = true;", files=[world.certs["ca"]])
    used(world, "a CA's record refuses nobody", "ca@" + ZONE, "ca")
    gateway.configure()
    used(world, "bad records beside a good one", "both@" + ZONE, "both")
    said = gateway.find("both@" + ZONE)[2]
    say(all(w in said for w in ("usage", "selector", "matching", "length", "SMIMEA 3 0 0 3003020101: ")),
        "each is told", said)


def check_trust(world):
    gateway = world.gateway.configure()
    refused(world, "a stranger's CA, usage 3", "outsider@" + ZONE, "not trusted")
    gateway.configure("trusted = true;")
    used(world, "usage 3 from a trusted directory needs no collection", "outsider@" + ZONE, "outsider")
    refused(world, "usage 1 does", "outsiderpkix@" + ZONE, "not trusted")
    used(world, "and is good with one", "pkix@" + ZONE, "pkix")
    gateway.configure("trusted = true;", files=[world.certs["outsiderdigest"], world.certs["outsiderpkix"]])
    used(world, "a digest of usage 3 vouches for a certificate from elsewhere", "outsiderdigest@" + ZONE,
         "outsiderdigest")
    refused(world, "usage 1 never does", "outsiderpkix@" + ZONE, "not trusted")
    gateway.configure(files=[world.certs["outsiderdigest"]])
    refused(world, "nor a directory that is not trusted", "outsiderdigest@" + ZONE, "not trusted")


def check_names(world):
    world.gateway.configure()
    used(world, "asked in capitals, published in small letters", "ERIN@" + ZONE, "erin")
    used(world, "published as it is written", "Frank@" + ZONE, "Frank")
    none(world, "but not asked so", "frank@" + ZONE)
    used(world, "domain in capitals", "ee@" + ZONE.upper(), "ee")
    used(world, "quotes that are not needed", '"ee"@' + ZONE, "ee")
    used(world, "a U-label", "jan@b\u00fccher.example", "jan")
    used(world, "and its A-label", "jan@" + IDN_ZONE, "jan")
    none(world, "nobody of that name in the other zone", "nobody@" + IDN_ZONE)
    for form, text in (("j\u00e4n", "as one character"), ("ja\u0308n", "as two")):
        refused(world, "a diaeresis %s finds its record" % text, form + "@" + IDN_ZONE, "no address equals")
    used(world, "wildcard", "anybody@wild." + ZONE, "wild")
    used(world, "CNAME", "alias@" + ZONE, "alias")
    used(world, "DNAME", "moved@renamed." + ZONE, "moved")
    used(world, "twenty certificates, over TCP", "many@" + ZONE, world.newest("many"))
    for address in ("x@" + "a." * 120 + ZONE, "x@" + "b" * 64 + ".example", "x@[192.0.2.1]"):
        none(world, "a domain that is in no DNS", address)
    people = ["crowd%d@%s" % (i, ZONE) for i in range(40)]
    say(world.gateway.process(*people) == "250 encrypted", "40 recipients at once")
    say(world.gateway.process("nobody@" + ZONE, *people) == "550", "and one without a certificate")


def check_absence(world):
    gateway = world.gateway.configure()
    none(world, "proven that there is none", "nobody@" + ZONE)
    none(world, "an unsigned zone below a signed one", "heidi@" + PLAIN, "not signed")
    none(world, "an alias into an unsigned zone", "lost@" + ZONE, "not signed")
    for address in ("nobody@" + ZONE, "heidi@" + PLAIN):
        say(gateway.process(address) == "550", "required: " + address)
    gateway.configure(encrypt="if-possible")
    for address in ("nobody@" + ZONE, "heidi@" + PLAIN):
        got = gateway.process(address)
        say(got == "250", "if possible: " + address, got)
    failed(world, "if possible: bogus", "spoilt@" + ZONE, "bogus")


def check_bogus(world):
    gateway = world.gateway.configure()
    failed(world, "a byte of the signature", "spoilt@" + ZONE, "bogus")
    failed(world, "signatures that have expired", "olga@" + OLD, "bogus")
    failed(world, "nor is there proof of absence", "nobody@" + OLD, "bogus")
    other = Zone(world.directory, "other." + ZONE)
    other.sign()
    anchor = os.path.join(world.directory, "wrong-anchor")
    with open(anchor, "w") as f:
        f.write(other.anchor().replace("other.", ""))
    gateway.configure(anchor_file=anchor)
    failed(world, "another trust anchor", "ee@" + ZONE, "bogus")
    with open(anchor, "w") as f:
        f.write(world.zones[IDN_ZONE].anchor())
    gateway.configure(anchor_file=anchor)
    none(world, "no trust anchor leads there", "ee@" + ZONE, "not signed")
    proxy = Proxy(world.server.port)
    gateway.configure(port=proxy.port)
    proxy.mode = "fail"
    none(world, "an unsigned domain whose server knows no SMIMEA", "heidi@" + PLAIN, "not signed")
    failed(world, "a signed one", "ee@" + ZONE, "error 2")
    failed(world, "a signed name that is an alias of an unsigned one", "x@away." + ZONE, "error 2")
    gateway.configure(port=proxy.port, cut_ms=3000)
    proxy.mode = "drop"
    none(world, "an unsigned domain whose server says nothing to SMIMEA", "heidi@" + PLAIN, "not signed")
    failed(world, "a signed one", "ee@" + ZONE, "")
    gateway.configure(port=proxy.port)
    proxy.mode = "strip"
    failed(world, "a resolver that leaves out signatures", "ee@" + ZONE, "bogus")
    failed(world, "also of what is not there", "nobody@" + ZONE, "bogus")
    proxy.close()


def check_outage(world):
    """One process that lives through it: the daemon."""
    gateway, address = world.gateway.configure(cut_ms=3000), "ee@" + ZONE
    daemon.MILTER = os.path.join(gateway.build, "smime-milter")
    work = os.path.join(world.directory, "daemon")
    os.mkdir(work)
    os.mkdir(work + "/state", 0o700)
    with open(gateway.conf) as f:
        text = "".join(line for line in f if not line.startswith(("local_domains", "state_dir")))
    running = daemon.Daemon(work, text).start()

    def reply(recipient=address):
        with MilterClient(running.target) as client:
            client.connect(ip="192.0.2.1")
            client.helo()
            result = send_message(client, daemon.MESSAGE.replace(b"a@x.example", b"a@example.com"), "a@example.com",
                                  [recipient], auth="a")[0]
            return "250" if result.accepted() else str(result.reply)

    def at_once(n):
        with concurrent.futures.ThreadPoolExecutor(n) as pool:
            return list(pool.map(lambda i: reply("crowd%d@%s" % (i, ZONE)), range(n)))

    say(reply() == "250", "outage: before it")
    world.server.signal(signal.SIGSTOP)
    began = time.monotonic()
    first = reply("pkix@" + ZONE)
    took = time.monotonic() - began
    say("451" in first, "outage: a server that says nothing", first)
    say(took < 30, "outage: does not keep mail longer than its time", "%.1f s" % took)
    replies = at_once(12)
    say(all("451" in r for r in replies), "outage: twelve mails at once", str(replies))
    world.server.signal(signal.SIGCONT)
    say(daemon.wait_for(lambda: reply("pkix@" + ZONE) == "250"), "outage: it is back")
    world.server.stop()
    say("451" in reply("digest@" + ZONE), "outage: no server at all")
    world.server.start()
    say(daemon.wait_for(lambda: "550" in reply("digest@" + ZONE)), "outage: and started again")
    say(daemon.wait_for(lambda: at_once(40) == ["250"] * 40), "outage: forty mails at once", str(at_once(40)))
    say(running.stop() == 0, "outage: the daemon ends")


def check_settings(world):
    gateway = world.gateway
    bad = os.path.join(world.directory, "bad-anchor")
    for content, mode, why in ((b"garbage\n", 0o644, "no DS or DNSKEY"), (b"; nothing\n", 0o644, "no DS or DNSKEY"),
                               (b"", 0o644, "no DS or DNSKEY"), (open(world.anchor, "rb").read(), 0o666, "write")):
        with open(bad, "wb") as f:
            f.write(content)
        os.chmod(bad, mode)
        rc, _, text = gateway.configure(anchor_file=bad).find("ee@" + ZONE)
        say(rc == 3 and why in text and "gateway.conf:4: trust_anchor_file" in text,
            "trust anchors: %s" % content[:9], text)
    rc, _, text = gateway.configure(anchor_file=bad + "-none").find("ee@" + ZONE)
    say(rc == 3 and "gateway.conf:4: trust_anchor_file" in text, "no trust anchors", text)
    gateway.configure()
    with open(gateway.conf) as f:
        text = f.read().replace('"127.0.0.1@%d"' % world.server.port, '[ "::1", "192.0.2.1@5300", "ns.example" ]', 1)
    with open(gateway.conf, "w") as f:
        f.write(text)
    rc, _, text = gateway.find("ee@" + ZONE)
    say(rc == 3 and "gateway.conf:4: resolver: \"ns.example\"" in text, "a resolver by name", text)


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
    version = must(os.path.join(build, "smime-milter"), "-V").decode()
    if "smimea" not in version:
        print("skip - smimea: built without libunbound")
        return 0
    for program in ("nsd", "ldns-signzone", "ldns-keygen"):
        if shutil.which(program) is None:
            print("skip - smimea: no " + program)
            return 0
    directory = tempfile.mkdtemp(prefix="smimea-test-")
    world = None
    try:
        world = World(build, directory)
        for check in (check_usages, check_trust, check_names, check_absence, check_bogus, check_outage, check_settings):
            check(world)
    finally:
        if world is not None:
            world.close()
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Whose certificate an address finds, with a real slapd and with files: aliases (proxyAddresses, several mail), primary
addresses alone (OWAUseSecondaryProxiesWhenFindingCertificates, imported from Exchange), what follows
recipient_delimiter, domains and local parts in other scripts in every spelling. Names are new in each run; certificates
are openssl's, and so is the judgement of whom a message is encrypted to.

Usage: tests/e2e/directory_addresses.py [BUILDDIR]; default ".". SEED=n repeats a run.
"""

import base64
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SUPPORT = os.path.join(TOP, "tests", "support")
sys.path[:0] = [SUPPORT, os.path.dirname(os.path.abspath(__file__))]
sys.dont_write_bytecode = True
import checks  # noqa: E402
import daemon  # noqa: E402
from checks import must, run, say  # noqa: E402
from milter_client import MilterClient, join_message, send_message  # noqa: E402

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
SEED = int(os.environ.get("SEED", random.randrange(100000)))
MAIL = b"From: x@example.com\nTo: somebody\nSubject: s\nContent-Type: text/plain\n\nhello\n"
PARAMETER = "OWAUseSecondaryProxiesWhenFindingCertificates"


def shell(text, *arguments):
    return must("bash", "-c", text, SUPPORT, *arguments)


class World:
    def __init__(self, path):
        self.path = path
        self.tag = "%05d" % SEED
        self.unicode = "bücher%s.example" % self.tag
        self.ascii = self.unicode.encode("idna").decode()
        self.serials = {}
        self.ldif = [shell('"$0/slapd.sh" top').decode()]
        self.port = must(os.path.join(SUPPORT, "postfix.sh"), "port").decode().strip()
        os.makedirs(self.at("slapd"))
        os.makedirs(self.at("certs"))
        shell('. "$0/people.sh"; new_ca "$1/ca" Test', path)

    def at(self, *names):
        return os.path.join(self.path, *names)

    def address(self, local, domain="example.com"):
        """Fresh in each run; what follows '+' stays behind the number."""
        name, plus, rest = local.partition("+")
        return name + self.tag + plus + rest + "@" + domain

    def certify(self, name, *addresses):
        """NAME.crt and NAME.key for them: rfc822Name where the local part is ASCII, else SmtpUTF8Mailbox."""
        names = ["email.%d = %s" % (i, a.replace('"', '\\"')) if a.isascii() else
                 "otherName.%d = 1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:%s" % (i, a) for i, a in enumerate(addresses)]
        with open(self.at("ca", name + ".ext"), "w", encoding="utf-8") as f:
            f.write("basicConstraints = CA:FALSE\nkeyUsage = critical,keyAgreement\n"
                    "extendedKeyUsage = emailProtection\nsubjectAltName = @names\n[names]\n" + "\n".join(names) + "\n")
        shell('. "$0/people.sh"; cd "$1" && new_key p256 $2.key && '
              'openssl req -new -key $2.key -subj "/O=Test/CN=$2" -out $2.csr && '
              'openssl x509 -req -in $2.csr -CA ca.crt -CAkey ca.key -days 30 -extfile $2.ext -out $2.crt 2> $2.log && '
              'openssl x509 -in $2.crt -outform DER -out $2.der', self.at("ca"), name)
        serial = must("openssl", "x509", "-in", self.at("ca", name + ".crt"), "-noout", "-serial").decode()
        self.serials[int(serial.split("=")[1], 16)] = name

    def entry(self, cn, cert, mail=(), proxies=(), uid=None):
        lines = ["dn: cn=%s,ou=people,dc=example,dc=com" % cn, "objectClass: inetOrgPerson",
                 "objectClass: extensibleObject", "cn: " + cn, "sn: " + cn]
        values = [("mail", m) for m in mail] + [("proxyAddresses", p) for p in proxies]
        values += [("uid", uid)] if uid else []
        lines += ["%s:: %s" % (k, base64.b64encode(v.encode()).decode()) for k, v in values]
        with open(self.at("ca", cert + ".der"), "rb") as f:
            lines.append("userCertificate;binary:: " + base64.b64encode(f.read()).decode())
        self.ldif.append("\n".join(lines) + "\n\n")

    def start(self):
        with open(self.at("people.ldif"), "w") as f:
            f.write("".join(self.ldif))
        shell('"$0/slapd.sh" start "$1/slapd" "$2" "$1/people.ldif"', self.path, self.port)

    def stop(self):
        run(os.path.join(SUPPORT, "slapd.sh"), "stop", self.at("slapd"))

    def directory(self, more):
        return ('{ type = "ldap"; uri = "ldap://127.0.0.1:%s/"; base = "dc=example,dc=com"; cache_s = 0; '
                'negative_cache_s = 0; %s }' % (self.port, more))

    def settings(self, directory, domains="*"):
        return ('recipient_delimiter = "+";\n'
                'collections = ( { name = "all"; files = [ "%s", "%s" ]; revocation = "off"; domains = "%s"; } );\n'
                'directories = ( %s );\n'
                'rules = ( { id = "out"; encrypt = "require"; } );\n' %
                (self.at("ca", "root.crt"), self.at("ca", "ca.crt"), domains, directory))

    def site(self, directory, domains="*"):
        with open(self.at("site.conf"), "w", encoding="utf-8") as f:
            f.write('socket = "inet:127.0.0.1:1"; state_dir = "%s"; local_domains = [ "local.example" ];\n' % self.path +
                    self.settings(directory, domains))

    def ctl(self, *arguments, data=b""):
        return run(os.path.join(BUILD, "smimectl"), "-c", self.at("site.conf"), *arguments, data=data)

    def found(self, address):
        """Names of who can read a mail to address; or the reasons why nobody is encrypted to."""
        out = self.at("out")
        shutil.rmtree(out, ignore_errors=True)
        rc, _, text = self.ctl("process", "--auth", "x", "--from", "x@example.com", "--rcpt", address, "--out", out,
                               data=MAIL)
        if rc not in (0, 1) or not os.path.exists(os.path.join(out, "0.eml")):
            rc, listed, more = self.ctl("certs", "find", address, "--json")
            if rc not in (0, 1):
                return "%d: %s" % (rc, text + more)
            return "; ".join(c["reason"] for c in json.loads(listed)) or "none"
        return self.readers(os.path.join(out, "0.eml"))

    def readers(self, mail):
        """Names by the serial numbers in the envelope, each of whom can open it."""
        printed = must("openssl", "cms", "-cmsout", "-print", "-noout", "-in", mail).decode()
        names = sorted(self.serials.get(int(n, 0), n) for n in re.findall(r"serialNumber: (\w+)", printed))
        for name in names:
            who = self.at("ca", name)
            rc, text, _ = run("openssl", "cms", "-decrypt", "-in", mail, "-recip", who + ".crt", "-inkey", who + ".key")
            if rc != 0 or b"hello" not in text:
                return name + " cannot open it"
        return " ".join(names)

    def expect(self, what, address, wanted):
        got = self.found(address)
        say(re.search(wanted, got) is not None, "%s: %s" % (what, re.sub(r"\W+$", "", wanted.strip("^$"))),
            "%s gives %s" % (address, got))


def imported(world, value):
    """The line that smimectl import-exchange makes of the parameter."""
    with open(world.at("exchange.json"), "w") as f:
        json.dump({PARAMETER: value}, f)
    text = must(os.path.join(BUILD, "smimectl"), "import-exchange", world.at("exchange.json")).decode()
    line = re.search(r"^\s*(secondary_addresses = \w+;)", text, re.M)
    say(line is not None and str(value).lower() in line.group(1), "%s = %s is imported" % (PARAMETER, value), text)
    return line.group(1) if line else ""


def make_owners(w):
    w.certify("bob", w.address("bob"))
    w.certify("carol", w.address("carol.c"))
    w.certify("dora", w.address("dora", "other.example"))
    w.certify("dora-self", w.address("dora"))
    w.certify("emil", w.address("emil", "elsewhere.example"))
    w.certify("lars", w.address("lars"))
    w.entry("bob", "bob", [w.address("bob")],
            ["smtp:" + w.address("rob"), "X500:/o=Example/cn=" + w.address("rob"), "SMTP:" + w.address("Bob"),
             "smtp:" + w.address("rob", "alias.example"), "sip:" + w.address("sip"), "smtp:garbage"])
    w.entry("carol", "carol", [w.address("carol"), w.address("carol.c")])
    w.entry("dora", "dora", [w.address("dora", "other.example")], uid="dora" + w.tag)
    w.entry("dora2", "dora-self", [w.address("dora", "other.example")], uid="dora" + w.tag)
    w.entry("emil", "emil", [], ["SMTP:" + w.address("emil", "elsewhere.example"), "smtp:" + w.address("emil")])
    w.entry("lars", "lars", uid="lars" + w.tag)


def test_owners(w):
    alias = w.address("rob")
    w.site(w.directory(imported(w, True)))
    w.expect("alias, certificate for the primary address", alias, "^bob$")
    w.expect("alias in another domain", w.address("ROB", "Alias.example"), "^bob$")
    w.expect("primary address", w.address("bob"), "^bob$")
    w.expect("another prefix is no address", w.address("sip"), "^none$")
    w.expect("primary address, certificate for an alias", w.address("carol"), "^carol$")
    w.expect("alias, certificate for it", w.address("carol.c"), "^carol$")
    w.site(w.directory(imported(w, False)))
    w.expect("primary only: alias, certificate for the primary address", alias, "^bob$")
    for who in "carol", "carol.c":
        w.expect("primary only: %s, certificate for an alias" % who, w.address(who),
                 "no address equals %s, which is its owner's primary one" % re.escape(w.address("carol")))
    w.site(w.directory("address_attributes = [ ];"))
    w.expect("owners are not believed", alias, "^RFC 8550 3: no address equals " + re.escape(alias) + "$")
    w.expect("owners are not needed", w.address("carol.c"), "^carol$")
    by_uid = 'filter = "(uid=%{local})"; '
    for more in "", "secondary_addresses = false;":
        w.site(w.directory(by_uid + more))
        w.expect("an entry of somebody else's addresses: " + (more or "any"), w.address("dora"), "^dora-self$")
        w.expect("an entry without addresses: " + (more or "any"), w.address("lars"), "^lars$")
    w.site(w.directory(""), domains="example.com")
    w.expect("who vouches must be entitled to both", w.address("emil"),
             "no collection may vouch for this address and for " + re.escape(w.address("emil", "elsewhere.example")))
    w.site(w.directory(""))
    w.expect("who vouches is entitled to both", w.address("emil"), "^emil$")


def make_delimited(w):
    for name, addresses in (("erin", ["erin"]), ("frank", ["frank"]), ("frank-lists", ["frank+lists"]),
                            ("gina-x", ["gina+x"]), ("hugo", ["hugo"])):
        w.certify(name, *[w.address(a) for a in addresses])
    w.entry("erin", "erin", [w.address("erin")])
    w.entry("frank", "frank", [w.address("frank")])
    w.entry("frank-lists", "frank-lists", [w.address("frank+lists")])
    w.entry("gina", "gina-x", [w.address("gina")])
    w.entry("hugo", "hugo", [w.address("hugo")], ["smtp:" + w.address("h.alias")])


def test_delimited(w, kind):
    w.expect(kind + ": the base's certificate", w.address("erin+lists"), "^erin$")
    w.expect(kind + ": the whole address's goes before", w.address("frank+lists"), "^frank-lists$")
    w.expect(kind + ": another one's does not count", w.address("frank+other"), "^frank$")
    w.expect(kind + ": a certificate with the whole address", w.address("GINA+X"), "^gina-x$")
    w.expect(kind + ": and nobody else's", w.address("gina+y"), "^(none$|RFC 8550 3: no address equals)")
    w.expect(kind + ": nobody", w.address("nobody+x"), "^none$")


SCRIPTS = ("hans", "Jörg")


def make_scripts(w):
    """Each local part with the entry's domain and the certificate's in either spelling."""
    for n, (entry, cert) in enumerate((e, c) for e in (w.unicode, w.ascii) for c in (w.unicode, w.ascii)):
        for local in SCRIPTS:
            name = "%s%d" % ("hans" if local.isascii() else "joerg", n)
            # RFC 5280 7.5: an rfc822Name has A-labels.
            w.certify(name, w.address(local + str(n), w.ascii if local.isascii() else cert))
            w.entry(name, name, [], ["smtp:" + w.address(local + str(n), entry)])


def test_scripts(w, kind):
    for n in range(4):
        for local in SCRIPTS:
            name = "^%s%d$" % ("hans" if local.isascii() else "joerg", n)
            for domain in w.unicode, w.ascii, w.unicode.upper(), w.ascii.upper():
                w.expect("%s: %s" % (kind, domain.replace(w.tag, "")), w.address(local + str(n), domain), name)
    for other in "jo\u0308rg0", "JÖRG0":
        w.expect("%s: local parts are bytes" % kind, w.address(other, w.unicode), "^(none$|RFC 8550 3: no address)")
    w.expect(kind + ": with recipient_delimiter", w.address("Jörg1+x", w.unicode), "^joerg1$")


def make_quoted(w):
    w.certify("john", '"john smith%s"@example.com' % w.tag)
    w.entry("john", "john", ['"john smith%s"@example.com' % w.tag])


def test_daemon(w):
    """Workers ask through the lookup process, and have to know the same."""
    daemon.MILTER = os.path.join(BUILD, "smime-milter")
    for more, owner in ("secondary_addresses = true;", "carol"), ("secondary_addresses = false;", None):
        gateway = daemon.Daemon(w.path, 'workers = 1; internal_hosts = [ "192.0.2.0/24" ];\n' +
                                w.settings(w.directory(more)))
        try:
            gateway.start()
            for address, name in ((w.address("rob"), "bob"), (w.address("carol"), owner), (w.address("erin+x"), "erin"),
                                  (w.address("frank+lists"), "frank-lists"), (w.address("Jörg1", w.unicode), "joerg1"),
                                  (w.address("Jörg3+x", w.unicode), "joerg3")):
                got = through(w, gateway, address)
                say(got == name, "daemon, %s: %s" % (more, address.replace(w.tag, "")), "%s, not %s" % (got, name))
        finally:
            gateway.stop()


def through(w, gateway, address):
    """Who can read what leaves; None: refused."""
    with MilterClient(gateway.target) as client:
        client.connect(ip="192.0.2.1")
        client.helo()
        result, headers, body = send_message(client, MAIL, "x@example.com", [address], mail_args=("SMTPUTF8",))
    if not result.accepted():
        return None if result.reply.startswith("550 5.7.5") else result.reply
    with open(w.at("sent.eml"), "wb") as f:
        f.write(join_message(*result.apply(headers, body)))
    return w.readers(w.at("sent.eml"))


def main():
    checks.line("seed %d" % SEED)
    path = tempfile.mkdtemp()
    w = World(path)
    try:
        for make in make_owners, make_delimited, make_scripts, make_quoted:
            make(w)
        w.start()
        test_owners(w)
        for kind in "ldap", "ldap, primary only":
            w.site(w.directory("" if kind == "ldap" else "secondary_addresses = false;"))
            test_scripts(w, kind)
        w.site(w.directory(""))
        test_delimited(w, "ldap")
        w.expect("ldap: an alias with recipient_delimiter", w.address("h.alias+x"), "^hugo$")
        w.expect("ldap: in quotes", '"john smith%s"@example.com' % w.tag, "^john$")
        test_daemon(w)
        shell('cp "$1"/ca/*.der "$1"/certs; rm "$1"/certs/ca.der 2> /dev/null || true', path)
        w.site('{ type = "files"; path = "%s"; }' % w.at("certs"))
        test_delimited(w, "files")
        test_scripts(w, "files")
        w.expect("files: in quotes", '"John Smith%s"@example.com' % w.tag, "^john$")
    finally:
        w.stop()
        shutil.rmtree(path)
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""The people of directory_values.sh: what a directory has for each, and which certificate has to be chosen, decided here
before the gateway is asked.

    directory_values.py WORK BUILDDIR make | slapd URI | samba URI | adschema URI

Everything is made anew by tests/support/makecert.py; openssl opens the envelopes.
"""

import base64
import json
import os
import pickle
import re
import sys
import time

WORK, BUILD, PHASE = sys.argv[1:4]
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.dont_write_bytecode = True
import checks  # noqa: E402
from checks import must, run, say  # noqa: E402
from makecert import DAY, Cert, Key, certs_only, outlook, sequence, signed  # noqa: E402

SMIME, CERT, OTHER = "userSMIMECertificate", "userCertificate", "userPKCS12"
SUFFIX = {"slapd": "ou=people,dc=example,dc=com", "adschema": "ou=ad,dc=example,dc=com",
          "samba": "cn=users,dc=ad,dc=example,dc=com"}
ADMIN = {"slapd": ("cn=admin,dc=example,dc=com", "secret"), "adschema": ("cn=admin,dc=example,dc=com", "secret"),
         "samba": ("cn=administrator,cn=users,dc=ad,dc=example,dc=com", "Passw0rd!x1")}
BAD = {"cut off": b"\x30\x82\x04\x00cut off", "text": b"see the intranet", "zeros": b"\0" * 40,
       "no object": sequence(b""), "settings": b"\x01\0\x08\0\x01\0\0\0\x03\0\xff\xff"}


def path(*names):
    return os.path.join(WORK, *names)


def write(name, data):
    with open(path(name), "wb" if isinstance(data, bytes) else "w") as f:
        f.write(data)


# Who there is.

class Person:
    """chosen: certificates in the order of their ranks; refused: [(certificate, a part of the reason)]."""

    def __init__(self, name, values, chosen, refused=(), problems=0, cipher=None):
        self.name, self.values, self.chosen, self.refused = name, values, chosen, list(refused)
        self.problems, self.cipher = problems, cipher
        self.address = name + "@partner.example"

    def ldif(self, phase):
        lines = ["dn: cn=%s,%s" % (self.name, SUFFIX[phase]), "cn: " + self.name]
        if phase == "slapd":
            lines += ["objectClass: inetOrgPerson", "sn: " + self.name, "mail: " + self.address]
        else:
            # No mail: found by proxyAddresses alone, beside what is no SMTP address.
            lines += ["sAMAccountName: " + self.name, "objectClass: user"] if phase == "samba" else [
                "objectClass: inetOrgPerson", "objectClass: extensibleObject", "sn: " + self.name]
            lines += ["proxyAddresses: SMTP:" + self.address.title(), "proxyAddresses: smtp:old." + self.address,
                      "proxyAddresses: X500:/o=Org/cn=" + self.name]
        for attribute, value in self.values:
            if phase != "samba" and attribute == CERT:
                if value in BAD.values():       # slapd keeps certificates alone in it
                    continue
                attribute += ";binary"
            lines.append("%s:: %s" % (attribute, base64.b64encode(value).decode()))
        return "\n".join(lines) + "\n\n"


class World:
    def __init__(self):
        self.rsa, self.ec, self.other = (Key(path(n), k) for n, k in (("rsa", "rsa"), ("ec", "ec"), ("other", "ec")))
        self.root = Cert(self.ec, "Values Root", ca=True, until=3650 * DAY)
        self.ca = Cert(self.ec, "Values CA", self.root, ca=True, until=3000 * DAY)
        self.hidden = Cert(self.other, "Values CA 2", self.root, ca=True, until=3000 * DAY)    # comes with its own alone
        self.strange = Cert(self.other, "Strange CA", ca=True)
        write("root.pem", self.root.pem())
        write("anchors.pem", self.root.pem() + self.ca.pem())

    def cert(self, name, key=None, ca=None, **more):
        more.setdefault("addresses", [name + "@partner.example"])
        return Cert(key or self.ec, name, ca or self.ca, **more)

    def forms(self):
        yield self.form("signed", lambda c: signed([c, self.hidden], c, ["aes256-gcm", "aes256-cbc"]), "aes256-gcm")
        yield self.form("certsonly", lambda c: certs_only(self.hidden, c))
        yield self.form("der", lambda c: c.der, ca=self.ca)
        yield self.form("settings", lambda c: outlook(c, [self.hidden]))
        yield self.form("pem", lambda c: c.pem() + self.hidden.pem())
        yield self.form("base64", lambda c: base64.b64encode(certs_only(c, self.hidden)))
        only = self.cert("othername")
        yield Person("othername", [(OTHER, only.der)], [only])
        text = self.cert("dnonly", addresses=[], dn_email="dnonly@partner.example")
        yield Person("dnonly", [(CERT, text.der)], [text])

    def form(self, name, value, cipher="aes256-cbc", ca=None):
        cert = self.cert(name, ca=ca or self.hidden)
        return Person(name, [(SMIME, value(cert))], [cert], cipher=cipher)

    def marks(self):
        for by in ("outlook", "preference"):
            name = "marked." + by
            old, new = self.cert(name, since=-20 * DAY), self.cert(name, since=-5 * DAY)
            yield Person(name, [(SMIME, signed([new, old, self.ca], new, preferred=old, by=by))], [old, new])
            name = "renewed." + by
            old, new = self.cert(name, since=-20 * DAY), self.cert(name, since=-5 * DAY)
            renewed = self.cert(name, self.rsa, since=-10 * DAY)
            yield Person(name, [(SMIME, signed([new, old], new, preferred=old, by=by)), (CERT, renewed.der)],
                         [renewed, old, new])
        old, new = self.cert("exchange", since=-20 * DAY), self.cert("exchange", since=-5 * DAY)
        yield Person("exchange", [(SMIME, outlook(old, [self.ca], new))], [old, new])
        gone, new = self.cert("goneby", since=-20 * DAY, until=-DAY), self.cert("goneby", since=-5 * DAY)
        yield Person("goneby", [(SMIME, signed([gone, new], new, preferred=gone))], [new], [(gone, "expired")])

    def leftovers(self):
        name = "leftovers"
        old = [self.cert(name, since=-n * 365 * DAY, until=(1 - n) * 365 * DAY - DAY) for n in range(1, 11)]
        good = self.cert(name, since=-100 * DAY)
        logon = self.cert(name, self.rsa, since=-2 * DAY, addresses=[], upn="leftovers@ad.example.com",
                          eku=["clientAuth", "logon"])
        efs = self.cert(name, self.rsa, since=-3 * DAY, eku=["efs"])
        signing = self.cert(name, since=-1 * DAY, usage=["digitalSignature"])
        strange = self.cert(name, ca=self.strange, since=-60)
        another = self.cert("someoneelse", since=-60)
        values = [(CERT, c.der) for c in old[:5] + [logon, efs, good, signing, strange, another] + old[5:]]
        yield Person(name, values + [(SMIME, certs_only(old[0], self.ca))], [good], [(c, "expired") for c in old] + [
            (logon, "smart-card logon"), (efs, "file encryption"), (signing, "keyUsage"), (strange, "not trusted"),
            (another, "no address")])
        card = self.cert("card", self.rsa, eku=["clientAuth", "logon"])
        yield Person("card", [(CERT, card.der)], [], [(card, "smart-card logon")])
        old, new = self.cert("stale", since=-800 * DAY, until=-DAY), self.cert("stale", since=-2 * DAY)
        yield Person("stale", [(SMIME, signed([old, self.ca], old)), (CERT, new.der)], [new], [(old, "expired")])
        good = self.cert("rubbish")
        yield Person("rubbish", [(SMIME, b) for b in BAD.values()] + [(CERT, b) for b in BAD.values()] +
                     [(CERT, good.der)], [good], problems=len(BAD))
        many = [self.cert("many", since=-1000 * DAY - n, until=-DAY - n) for n in range(250)]
        good = self.cert("many", since=-500 * DAY)
        yield Person("many", [(CERT, c.der) for c in many[:125] + [good] + many[125:]], [good],
                     [(c, "expired") for c in many])

    def choices(self):
        rsa, ec = self.cert("both", self.rsa, since=-9 * DAY), self.cert("both", self.ec, since=-8 * DAY)
        yield Person("both", [(CERT, rsa.der), (CERT, ec.der)], [ec, rsa])
        ec, rsa = self.cert("rsafirst", self.ec, since=-9 * DAY), self.cert("rsafirst", self.rsa, since=-8 * DAY)
        yield Person("rsafirst", [(SMIME, ec.der), (CERT, rsa.der)], [rsa, ec])
        now = int(time.time())
        one, two = (self.cert("equal", k, since=-DAY, at=now) for k in (self.rsa, self.ec))
        yield Person("equal", [(CERT, two.der), (SMIME, one.der)], [one, two])

    def capabilities(self):
        cert = self.cert("forged")
        yield Person("forged", [(SMIME, signed([cert], cert, ["aes128-cbc"], key=self.other))], [cert],
                     cipher="aes256-cbc")
        cert = self.cert("absent")
        yield Person("absent", [(SMIME, signed([cert], self.cert("absent"), ["aes128-cbc"]))], [cert],
                     cipher="aes256-cbc")
        cert = self.cert("mallory")
        word = Cert(self.other, "mallory", self.strange, ["mallory@partner.example"])
        yield Person("mallory", [(SMIME, signed([cert, word], word, ["aes128-cbc"]))], [cert],
                     [(word, "not trusted")], cipher="aes256-cbc")
        sign, encrypt = self.cert("two", usage=["digitalSignature"]), self.cert("two", self.rsa)
        yield Person("two", [(SMIME, signed([sign, encrypt], sign, ["aes128-gcm", "aes128-cbc"], preferred=encrypt))],
                     [encrypt], [(sign, "keyUsage")], cipher="aes128-gcm")

    def people(self):
        return [p for kind in (self.forms, self.marks, self.leftovers, self.choices, self.capabilities) for p in kind()]


def make():
    people = World().people()
    top = must("sh", os.path.join(os.path.dirname(checks.__file__), "slapd.sh"), "top").decode()
    top += "dn: ou=ad,dc=example,dc=com\nobjectClass: organizationalUnit\nou: ad\n\n"
    write("slapd.ldif", top + "".join(p.ldif("slapd") for p in people))
    for phase in ("adschema", "samba"):
        write(phase + ".ldif", "".join(p.ldif(phase) for p in people))
    with open(path("people"), "wb") as f:
        pickle.dump(people, f)


# What is asked.

def write_config(uri, attributes, name):
    dn, password = ADMIN[PHASE]
    write("secret", password)
    os.chmod(path("secret"), 0o600)
    os.makedirs(path("state"), exist_ok=True)
    write(name, """
local_domains = [ "example.com" ]; state_dir = "%s";
collections = ( { name = "all"; files = "%s"; } );
directories = ( { type = "ldap"; uri = "%s"; base = "%s"; bind_dn = "%s"; bind_password_file = "%s";
  attributes = [ %s ]; timeout_ms = 30000; cache_s = 0; negative_cache_s = 0; } );
rules = ( { id = "all"; encrypt = "require"; ciphers = [ "aes256-cbc", "aes128-cbc", "aes256-gcm", "aes128-gcm" ]; } );
""" % (path("state"), path("anchors.pem"), uri, SUFFIX[PHASE], dn, path("secret"),
       ", ".join('"%s"' % a for a in attributes)))


def ctl(*arguments, conf="site.conf", data=b""):
    return run(os.path.join(BUILD, "smimectl"), "-c", path(conf), *arguments, data=data)


def find(address, conf="site.conf"):
    rc, out, text = ctl("certs", "find", address, "--json", conf=conf)
    return rc, json.loads(out) if out else [], text


def objection(person, rc, found, text):
    """Why what came is not what has to come, or ""."""
    if rc != (0 if person.chosen else 1):
        return "status %d: %s" % (rc, text)
    if [c["sha256"] for c in found if c["usable"]] != [c.sha256 for c in person.chosen]:
        return "another order: %s" % [(c["serial"], c["reason"]) for c in found[:5]]
    if [c["rank"] for c in found] != [i + 1 if c["usable"] else 0 for i, c in enumerate(found)]:
        return "ranks"
    if any(c["reason"] for c in found if c["usable"]):
        return "a reason for one that is usable"
    reasons = {c["sha256"]: c["reason"] for c in found if not c["usable"]}
    if set(reasons) != {c.sha256 for c, _ in person.refused}:
        return "%d are refused, not %d" % (len(reasons), len(person.refused))
    wrong = [(part, reasons[c.sha256]) for c, part in person.refused if part not in reasons[c.sha256]]
    if wrong:
        return "reason without \"%s\": %s" % wrong[0]
    named = re.findall(r"(?:%s|%s): \S+" % (SMIME, CERT), text)
    if len(named) < person.problems:
        return "%d of %d unreadable values are named: %s" % (len(named), person.problems, text)
    if any(s["serial"] != "%X" % c.serial for s, c in zip(found, person.chosen)):
        return "serial number"
    return ""


def encrypted(person):
    """The RecipientInfos and the cipher of a mail to the person."""
    mail = "From: a@example.com\nTo: %s\nSubject: s\nContent-Type: text/plain\n\nhello\n" % person.address
    out = path("out-" + person.name)
    rc, _, text = ctl("process", "--from", "a@example.com", "--auth", "a", "--rcpt", person.address, "--out", out,
                      data=mail.encode())
    if rc != 0:
        return 0, text
    with open(os.path.join(out, "outcome.json")) as f:
        cipher = json.load(f)["recipients"][0]["cipher"]
    printed = must("openssl", "cms", "-cmsout", "-print", "-noout", "-in", os.path.join(out, "0.eml")).decode()
    return len(re.findall(r"d\.(?:ktri|kari)", printed)), cipher


def check_choices(people):
    for person in people:
        rc, found, text = find(person.address)
        why = objection(person, rc, found, text)
        say(not why, "%s: %s" % (PHASE, person.name), why)


def check_explain(person):
    mail = "From: a@example.com\nTo: %s\nSubject: s\n\nhello\n" % person.address
    _, out, _ = ctl("explain", "--from", "a@example.com", "--auth", "a", "--rcpt", person.address, data=mail.encode())
    text = out.decode()
    serials = ["1. .*serial %X," % c.serial for c in person.chosen] + [
        "refused \\(.*%s.*\\): .*serial %X," % (part, c.serial) for c, part in person.refused]
    missing = [s for s in serials if not re.search(s, text)]
    say(not missing, "%s: explain has each one with its rank or its reason" % PHASE, "%s" % missing[:1])


def check_all(uri):
    with open(path("people"), "rb") as f:
        people = pickle.load(f)
    by_name = {p.name: p for p in people}
    if PHASE != "slapd":
        dn, password = ADMIN[PHASE]
        must("ldapadd", "-x", "-H", uri, "-D", dn, "-w", password, "-f", path(PHASE + ".ldif"))
    write_config(uri, [SMIME, CERT, OTHER], "site.conf")
    check_choices(people)
    write_config(uri, [CERT, SMIME], "turned.conf")
    equal = by_name["equal"]
    _, found, _ = find(equal.address, conf="turned.conf")
    say([c["sha256"] for c in found] == [c.sha256 for c in reversed(equal.chosen)],
        "%s: what is equally new stands in the order of `attributes`" % PHASE, "%s" % found)
    rc, found, _ = find("othername@partner.example", conf="turned.conf")
    say(rc == 1 and found == [], "%s: what `attributes` does not name is not asked for" % PHASE)
    check_explain(by_name["leftovers"])
    if PHASE != "slapd":
        _, found, _ = find("old.leftovers@partner.example")
        say([c["sha256"] for c in found if c["usable"]] == [c.sha256 for c in by_name["leftovers"].chosen],
            "%s: a secondary address has its owner's certificate" % PHASE, "%s" % found[:1])
    for name in ("both", "rsafirst"):
        infos, text = encrypted(by_name[name])
        say(infos == 1, "%s: %s: one recipient, not two" % (PHASE, name), "%d: %s" % (infos, text))
    for person in people:
        if person.cipher:
            _, cipher = encrypted(person)
            say(cipher == person.cipher, "%s: %s: %s" % (PHASE, person.name, person.cipher), cipher)


if PHASE == "make":
    make()
else:
    check_all(sys.argv[4])
sys.exit(1 if checks.failures else 0)

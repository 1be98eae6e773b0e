"""slapds with people whose certificates openssl made, and smimectl to look for them. For whole-process tests."""

import os
import signal
import socket
import subprocess
import time

SUPPORT = os.path.dirname(os.path.abspath(__file__))
FOUND, NONE, LATER = 0, 1, 4        # exit status of smimectl certs find
BASE = "dc=example,dc=com"


def shell(text, *arguments, **environment):
    done = subprocess.run(["bash", "-c", text, SUPPORT] + list(arguments), capture_output=True,
                          env=dict(os.environ, **environment))
    if done.returncode != 0:
        raise AssertionError("%s: %s" % (text, done.stderr.decode()))
    return done.stdout.decode()


def free_ports():
    """Two in a row: slapd.sh has ldaps:// on the second."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


class Slapd:
    """One server with an LDIF; environment as slapd.sh has it."""

    def __init__(self, path, ldif, **environment):
        self.path = path
        self.port = free_ports()
        os.mkdir(path)
        shell('"$0/slapd.sh" start "$1" "$2" "$3"', path, str(self.port), ldif, **environment)

    def url(self, scheme="ldap", host="127.0.0.1"):
        return "%s://%s:%d" % (scheme, host, self.port + (scheme == "ldaps"))

    def stop(self):
        shell('"$0/slapd.sh" stop "$1"', self.path)

    def again(self):
        shell('"$0/slapd.sh" again "$1"', self.path)

    def pid(self):
        with open(os.path.join(self.path, "slapd.pid")) as f:
            return int(f.read())

    def halt(self):
        os.kill(self.pid(), signal.SIGSTOP)

    def go_on(self):
        os.kill(self.pid(), signal.SIGCONT)


class World:
    """In a directory: ca/ with a root and what it vouches for, people.ldif with Carol and Dave of partner.example."""

    def __init__(self, path, smimectl):
        self.path = path
        self.smimectl = smimectl
        self.slapds = []
        shell('. "$0/people.sh"; cd "$1"; new_ca ca Test; for who in carol dave; do new_person ca $who '
              '$who@partner.example p256; openssl x509 -in ca/$who.crt -outform DER -out ca/$who.der; done', path)
        self.ldif = self.write("people.ldif", shell('"$0/slapd.sh" top') + self.person("carol") + self.person("dave"))

    def file(self, *names):
        return os.path.join(self.path, *names)

    def write(self, name, text, mode=0o644):
        path = self.file(name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as f:
            f.write(text)
        return path

    def person(self, name):
        return shell('"$0/slapd.sh" person "$1@partner.example" "userCertificate;binary" "$2"', name,
                     self.file("ca", name + ".der"))

    def certificate(self, name, subject, *extensions):
        """ca/NAME.crt and ca/NAME.key, of the root: returns the path without its end."""
        path = self.file("ca", name)
        shell('. "$0/people.sh"; new_key p256 "$1.key"; ca=$(dirname "$1")/root; path=$1 subject=$2; shift 2; '
              'openssl req -x509 -new -key "$path.key" -CA $ca.crt -CAkey $ca.key -subj "$subject" -days 30 '
              '-out "$path.crt" -addext basicConstraints=CA:FALSE "$@"', path, subject,
              *[word for extension in extensions for word in ("-addext", extension)])
        return path

    def tls(self, name, names):
        """Environment of a slapd whose certificate has these names."""
        path = self.certificate(name, "/O=Test/CN=" + name, "extendedKeyUsage=serverAuth", "subjectAltName=" + names)
        return {"SLAPD_TLS_CERT": path + ".crt", "SLAPD_TLS_KEY": path + ".key"}

    def slapd(self, name, ldif=None, **environment):
        slapd = Slapd(self.file(name), ldif or self.ldif, **environment)
        self.slapds.append(slapd)
        return slapd

    def close(self):
        for slapd in self.slapds:
            slapd.stop()

    @staticmethod
    def directory(uri, more="", base=BASE):
        base = 'base = "%s";' % base if base is not None else ""
        return '{ type = "ldap"; uri = "%s"; %s cache_s = 0; negative_cache_s = 0; %s }' % (uri, base, more)

    def settings(self, *directories):
        return 'collections = ( { name = "all"; files = [ "%s", "%s" ]; } );\ndirectories = ( %s );\n' % (
            self.file("ca", "root.crt"), self.file("ca", "ca.crt"), ", ".join(directories))

    def find(self, address, *directories):
        """Status, what it said on stderr, and the seconds that it took."""
        name = "find%x.conf" % abs(hash((address, directories)))
        conf = self.write(name, 'socket = "inet:127.0.0.1:1"; state_dir = "%s"; local_domains = [ "example.com" ];\n%s'
                          'rules = ( { id = "all"; } );\n' % (self.path, self.settings(*directories)))
        start = time.monotonic()
        done = subprocess.run([self.smimectl, "-c", conf, "certs", "find", address], capture_output=True, timeout=90)
        return done.returncode, done.stderr.decode(), time.monotonic() - start

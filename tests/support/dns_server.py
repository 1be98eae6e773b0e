"""A name server for tests, on port 53 of the loopback interface: a network namespace of its own is needed. Only
Python's standard library.

    enter(directory)            this process's network and mount namespace get an interface and a resolv.conf
    server = DnsServer()
    server.records[("dc1.example.com", A)] = ["127.0.0.1"]
    server.records[("_ldap._tcp.example.com", SRV)] = [(priority, weight, port, "dc1.example.com")]
    server.silent = True        it answers nobody any more
    server.asked                names, in order
"""

import fcntl
import os
import socket
import struct
import subprocess
import threading

A, SRV = 1, 33
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
NAME_ERROR = 3
TTL_S = 60


def enter(directory):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP | IFF_RUNNING))
    for name, text in (("resolv.conf", "nameserver 127.0.0.1\n"), ("nsswitch.conf", "hosts: files dns\n")):
        path = os.path.join(directory, name)
        with open(path, "w") as f:
            f.write(text)
        subprocess.run(["mount", "--bind", path, "/etc/" + name], check=True)


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


class DnsServer:
    def __init__(self):
        self.records = {}
        self.silent = False
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, client = self.socket.recvfrom(4096)
            if not self.silent:
                self.socket.sendto(self.answer(query), client)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name, (kind,) = ".".join(labels), struct.unpack(">H", query[at + 1:at + 3])
        self.asked.append(name)
        records = self.records.get((name, kind), [])
        known = any(name == other for other, _ in self.records)
        head = query[:2] + struct.pack(">HHHHH", 0x8580 | (0 if known else NAME_ERROR), 1, len(records), 0, 0)
        return head + query[12:at + 5] + b"".join(self.record(kind, record) for record in records)

    @staticmethod
    def record(kind, record):
        if kind == SRV:
            data = struct.pack(">HHH", *record[:3]) + encode(record[3])
        else:
            data = socket.inet_aton(record)
        return struct.pack(">HHHIH", 0xC00C, kind, 1, TTL_S, len(data)) + data

"""A server between an LDAP client and an LDAP server, well behaved or not. Only Python's standard library.

    proxy = LdapProxy(port)     listens on proxy.port of the loopback interface and talks to port
    proxy.mode                  what becomes of connections from now on:
        "pass"          everything goes through
        "silent"        accepted, never answered
        "slow"          answers come half a minute late
        "trickle"       answers come byte by byte, twice a second
        "cut"           the connection ends in the middle of the first answer
        51              every search is answered with that result code, every StartTLS too
    proxy.connections, proxy.turns      how often somebody connected; how often a request came after an answer
    proxy.requested             what clients sent through it
"""

import socket
import threading
import time

from tcp_server import TcpServer

BIND, SEARCH, EXTENDED, UNBIND, ABANDON = 0x60, 0x63, 0x77, 0x42, 0x50
HALF_MINUTE = 30


def split(data):
    """(tag, content, rest) of the first BER value; None: not all of it is here."""
    if len(data) < 2:
        return None
    n, at = data[1], 2
    if n >= 0x80:
        at = 2 + n - 0x80
        if len(data) < at:
            return None
        n = int.from_bytes(data[2:at], "big")
    return (data[0], data[at:at + n], data[at + n:]) if len(data) >= at + n else None


def result(message_id, tag, code):
    """An LDAPResult (RFC 4511 4.1.9) without words."""
    operation = bytes([tag, 7, 0x0A, 1, code, 4, 0, 4, 0])
    number = bytes([2, len(message_id)]) + message_id
    return bytes([0x30, len(number) + len(operation)]) + number + operation


class LdapProxy(TcpServer):
    def __init__(self, target, mode="pass"):
        self.target = target
        self.mode = mode
        self.turns = 0
        self.requested = b""
        super().__init__()

    def serve(self, client):
        with client:
            try:
                if self.mode == "silent":
                    self.ended.wait()
                elif isinstance(self.mode, int):
                    self.answer(client, self.mode)
                else:
                    self.forward(client)
            except OSError:
                pass

    def answer(self, client, code):
        data = b""
        while True:
            more = client.recv(65536)
            if not more:
                return
            data += more
            while split(data):
                _, message, data = split(data)
                _, message_id, operation = split(message)
                if operation[0] == BIND:
                    client.sendall(result(message_id, 0x61, 0))
                elif operation[0] == SEARCH:
                    client.sendall(result(message_id, 0x65, code))
                elif operation[0] == EXTENDED:
                    client.sendall(result(message_id, 0x78, code))

    def forward(self, client):
        answered = [False]          # since the last request
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            threading.Thread(target=self.requests, args=(client, server, answered), daemon=True).start()
            while True:
                data = server.recv(65536)
                if not data:
                    break
                answered[0] = True
                self.deliver(client, data)
            client.shutdown(socket.SHUT_RDWR)

    def requests(self, client, server, answered):
        try:
            while True:
                data = client.recv(65536)
                if not data:
                    break
                self.turns += answered[0]
                answered[0] = False
                self.requested += data
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def deliver(self, client, data):
        mode = self.mode
        if mode == "slow":
            self.ended.wait(HALF_MINUTE)
        elif mode == "trickle":
            for byte in data:
                client.sendall(bytes([byte]))
                self.ended.wait(0.5)
            return
        elif mode == "cut":
            client.sendall(data[:len(data) // 2])
            time.sleep(0.1)
            client.shutdown(socket.SHUT_RDWR)
            raise OSError("cut")
        client.sendall(data)

"""A server on the loopback interface with a thread for each connection. Only Python's standard library.

    class Echo(TcpServer):
        def serve(self, client): …      in a thread of its own; whoever serves closes client

server.port is where it listens, server.connections how often somebody connected; close() sets server.ended.
"""

import socket
import threading


class TcpServer:
    def __init__(self):
        self.connections = 0
        self.ended = threading.Event()
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(100)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.ended.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def accept(self):
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

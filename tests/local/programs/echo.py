"""A WebSocket server without a library: says what the handshake was, echoes what comes, refuses /forbidden."""

import base64
import hashlib
import socketserver
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return
            head += line
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        exact = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        key = next((v for k, v in exact.items() if k.lower() == b"sec-websocket-key"), None)
        if key is None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        if b"/forbidden" in head.split(b"\r\n")[0]:
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())  # noqa: S324 - RFC 6455
        chosen = b"Sec-WebSocket-Protocol: chat\r\n" if fields.get(b"sec-websocket-protocol") else b""
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n" + chosen + b"\r\n"
        )
        self.say(1, head)
        message = b""
        while True:
            final, kind, data = self.frame()
            message += data
            if kind == 8:
                self.say(8, data)
                return
            if message == b"close":
                self.say(8, struct.pack(">H", 4001))
                return
            if final:
                self.say(kind or self.kind, message)
                message = b""
            elif kind:
                self.kind = kind

    def frame(self) -> tuple[bool, int, bytes]:
        first, second = self.rfile.read(2)
        size = second & 127
        if size == 126:
            (size,) = struct.unpack(">H", self.rfile.read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self.rfile.read(8))
        mask = self.rfile.read(4)
        data = self.rfile.read(size)
        whole = (mask * (size // 4 + 1))[:size]
        plain = int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")
        return bool(first & 128), first & 15, plain.to_bytes(size, "big")

    def say(self, kind: int, data: bytes) -> None:
        size = len(data)
        if size < 126:
            length = bytes([size])
        else:
            length = b"\x7e" + struct.pack(">H", size) if size < 65536 else b"\x7f" + struct.pack(">Q", size)
        self.wfile.write(bytes([128 | kind]) + length + data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("0.0.0.0", 8000), Handler).serve_forever()  # noqa: S104 - in a container

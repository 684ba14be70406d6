"""A client of the protocol, version 1, in JSON: written from docs/protocol.md alone.

python3 python-client.py HOST PORT     calls, streams, subscribes, is pinged, closes; prints JSON lines
"""

import base64
import hashlib
import json
import os
import socket
import struct
import sys

MESSAGE, CALL, REPLY, ERROR, ITEM, END, CANCEL, CREDIT, PUBLICATION, SUBSCRIBE, UNSUBSCRIBE = range(11)
HELLO, WELCOME, ACK, PING, PONG, GO_AWAY, CLOSE = range(16, 23)


class WebSocket:
    """The client's end of a WebSocket (RFC 6455), blocking."""

    def __init__(self, host, port, path="/", protocol="ss1.json"):
        self.stream = socket.create_connection((host, port), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Protocol: {protocol}",
        ]
        self.stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.receive()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status, *fields = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in fields)}
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert status.split()[1] == "101", status
        assert headers["sec-websocket-accept"] == base64.b64encode(accept).decode()
        assert headers["sec-websocket-protocol"] == protocol

    def receive(self):
        data = self.stream.recv(65536)
        if not data:
            raise ConnectionError("the server is gone")
        self.buffer += data

    def take(self, size):
        while len(self.buffer) < size:
            self.receive()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def send(self, opcode, data):
        size = len(data)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        mask = os.urandom(4)
        self.stream.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))

    def read(self):
        """The next message as text; None when the server closes, with the code in `closed`."""
        message = b""
        while True:
            first, second = self.take(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self.take(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self.take(8))
            data, opcode = self.take(size), first & 0x0F
            if opcode == 8:
                self.closed = struct.unpack("!H", data[:2])[0] if data else 1005
                self.send(8, data[:2])
                self.stream.close()
                return None
            if opcode == 9:
                self.send(10, data)
            elif opcode in (0, 1):
                message += data
                if first & 0x80:
                    return message.decode()


class Failure(Exception):
    """The payload of an error."""


class Client:
    """One connection. Calls are made one at a time; what else comes goes to `events`."""

    def __init__(self, host, port):
        self.socket = WebSocket(host, port)
        self.events, self.topics, self.last_id, self.pings = [], {}, -1, 0
        self.send([HELLO, {"v": 1, "caps": []}])
        kind, _, self.welcome = self.next()
        assert kind == WELCOME and self.welcome["v"] == 1
        self.services = {line["name"]: line["id"] for line in self.welcome["services"]}

    def send(self, frame):
        text = json.dumps(frame, separators=(",", ":"), ensure_ascii=False)
        self.socket.send(1, text.encode())

    def next(self):
        """The next frame that is not handled here, as kind, id and payload; None at the end."""
        while (text := self.socket.read()) is not None:
            first, *rest = json.loads(text)
            kind, payload = first & 0x1F, rest[-1]
            if kind == PING:
                self.pings += 1
                self.send([PONG, 0])
            elif kind == MESSAGE:
                self.events.append(payload)
            elif kind == PUBLICATION and rest[0] in self.topics:
                self.events.append([self.topics[rest[0]], *payload])
            elif kind == CLOSE:
                self.goodbye = [rest[0], payload["reason"], payload["reconnect"]]
            elif kind in (REPLY, ERROR, ITEM, END, WELCOME):
                return kind, rest[0], payload
        return None

    def request(self, kind, service, payload):
        self.last_id += 2
        self.send([kind, self.services[service], self.last_id, payload])
        return self.last_id

    def answers(self, call):
        """The frames of one call, up to its final one."""
        while True:
            frame = self.next()
            if frame is None:
                raise ConnectionError("closed before the answer")
            kind, id, payload = frame
            if id != call:
                continue
            if kind == ERROR:
                raise Failure(payload)
            yield kind, payload
            if kind != ITEM:
                return

    def call(self, service, *payload, kind=CALL):
        ((_, value),) = self.answers(self.request(kind, service, list(payload)))
        return value

    def stream(self, service, *payload):
        """Yields the items, granting half the credit whenever half is used up."""
        call, taken = self.request(CALL, service, list(payload)), 0
        for kind, item in self.answers(call):
            if kind == END:
                return
            yield item
            taken += 1
            if taken * 2 >= self.welcome["credit"]:
                self.send([CREDIT, call, taken])
                taken = 0

    def subscribe(self, service, channel):
        ((_, reply),) = self.answers(self.request(SUBSCRIBE, service, {"ch": channel}))
        self.topics[reply["topic"]] = channel

    def close(self):
        self.send([CLOSE, 1000, {"reason": "", "reconnect": False}])
        while self.next() is not None:
            pass
        return [self.goodbye, self.socket.closed]


def main(host, port):
    client = Client(host, port)
    show = lambda name, value: print(json.dumps([name, value]), flush=True)
    show("services", sorted(client.services))
    show("add", client.call("rpc", "add", 1, 2))
    show("text", client.call("rpc", "echo", {"text": "æøå 漢字 " + "x" * 70000})["text"][:6])
    show("bytes", client.call("rpc", "echo", {"$t": ["u8", "AQI="]}))
    try:
        client.call("rpc", "fail")
    except Failure as failure:
        show("fail", failure.args[0])
    show("stream", sum(client.stream("rpc", "count", 1000)))
    client.subscribe("chat", "room")
    show("publish", client.call("chat", "publish", "room", "said", "Ann", "hello"))
    show("broadcast", client.call("chat", "publish", None, "said", "Ann", "to all"))
    show("events", client.events)
    while client.pings == 0:
        client.call("rpc", "add", 0, 0)
    show("pinged", True)
    show("close", client.close())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

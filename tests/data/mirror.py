"""A mirror on this computer, which serves the real files, or misbehaves as mirrors do."""
from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Mirror:
    """``address("good")`` serves the files; other kinds are the methods of `_Handler`.

    Attributes
    ----------
    asked : list of str
        The paths that were asked for.
    half : Event
        Set once half of a file was sent by a mirror that then waits.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.server, self.asked = server, server.asked
        self.half, self.over = server.half, server.over

    def address(self, *kinds: str) -> str:
        """What CHAINRULE_MIRRORS has to say."""
        return " ".join(f"http://127.0.0.1:{self.server.server_port}/{kind}" for kind in kinds)


@contextmanager
def running(folder: Path) -> Iterator[Mirror]:
    """Run a mirror of the data sets in a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.folder, server.asked = folder, []
    server.half, server.over = threading.Event(), threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield Mirror(server)
    finally:
        server.over.set()                                # ends those that hang
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        kind, self.place = self.path[1:].split("/", 1)
        with suppress(BrokenPipeError, ConnectionResetError):            # whoever asked may have gone
            getattr(self, f"be_{kind.partition('@')[0]}")(*kind.split("@")[1:])

    def packed(self):
        return (self.server.folder / self.place).read_bytes()

    def send(self, body, status=200, length=None, **headers):
        self.send_response(status)
        if length is not False:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def be_good(self):
        self.send(self.packed())

    def be_missing(self):
        self.send(b"no such file", 404)

    def be_busy(self):
        self.send(b"later", 503)

    def be_plain(self):
        self.send(gzip.decompress(self.packed()))

    def be_encoded(self):
        """As some web servers do it: what is stored compressed is declared to be so on the way only."""
        self.send(self.packed(), Content_Encoding="gzip")

    def be_moved(self):
        self.send(b"", 302, Location="/good/" + self.place)

    def be_circle(self):
        self.send(b"", 302, Location="/circle/" + self.place)

    def be_wrong(self):
        body = bytearray(gzip.decompress(self.packed()))
        body[-1] ^= 1
        self.send(bytes(body))

    def be_other(self):
        """Another file of the same data set."""
        self.place = self.place.rpartition("/")[0] + "/t10k-labels-idx1-ubyte.gz"
        self.be_good()

    def be_damaged(self):
        body = bytearray(self.packed())
        body[-5] ^= 0xFF                                 # of gzip's own checksum
        self.send(bytes(body))

    def be_larger(self):
        """16 MB of zeros in 16 kB."""
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        self.send(b"".join(packer.compress(bytes(2**20)) for _ in range(16)) + packer.flush())

    def be_endless(self):
        self.send(b"\0" * 100, length=False)
        while not self.server.over.is_set():
            self.wfile.write(bytes(2**16))

    def be_page(self):
        self.send(b"\n<!DOCTYPE html>\n<html><body>Please log in to this network.</body></html>",
                  Content_Type="text/html")

    def be_nothing(self):
        self.send(b"")

    def be_truncated(self):
        body = self.packed()
        self.send(body[:len(body) // 2], length=len(body))

    def be_short(self):
        body = self.packed()
        self.send(body[:len(body) // 2])

    def be_hang(self):
        self.server.over.wait(60)

    def be_stall(self, name=""):
        """Send half and wait; with a name only for files of this name."""
        if name not in self.place:
            self.be_good()
            return
        body = self.packed()
        self.send(body[:len(body) // 2], length=len(body))
        self.server.half.set()
        self.server.over.wait(60)

    def be_drip(self):
        body = self.packed()
        self.send(body[:40], length=len(body))
        for byte in body[40:]:
            if self.server.over.wait(0.02):
                break
            self.wfile.write(bytes([byte]))

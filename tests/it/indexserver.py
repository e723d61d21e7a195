# SPDX-License-Identifier: MIT
"""A package index on loopback (PEP 503), whose files can be made to misbehave."""

import hashlib
import html
import http.server
import re
import threading
import urllib.parse
from pathlib import Path


class Index:
    """Serves /simple/NAME/ and /files/FILE. `url` is its base, `log` the paths asked for."""

    def __init__(self):
        self.files = {}  # name -> path
        self.bodies = {}  # name -> other bytes than the file's
        self.status = {}  # name -> an error in the file's place
        self.login = None  # "user:password" that files want
        self.stall = set()  # names of which only the first bytes come, until `released`
        self.released = threading.Event()
        self.stalled = threading.Event()
        self.log = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            do_HEAD = do_GET  # uv asks for sizes first

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def add(self, *paths):
        for path in map(Path, paths):
            self.files[path.name] = path

    def file_url(self, path):
        return f"{self.url}/files/{urllib.parse.quote(Path(path).name)}"

    def answer(self, request):
        path = urllib.parse.unquote(request.path)
        self.log.append(path)
        if path.startswith("/simple/"):
            self.page(request, path.split("/")[2])
        elif path.startswith("/files/") and path[7:] in self.files:
            self.file(request, path[7:])
        else:
            self.send(request, 404, b"no such page")

    def page(self, request, project):
        rows = [n for n in self.files if normalize(re.split(r"-\d", n)[0]) == project]
        if not rows:
            return self.send(request, 404, b"no such project")
        links = "".join(
            f'<a href="/files/{urllib.parse.quote(n)}#sha256={sha256(self.files[n])}">{html.escape(n)}</a>\n'
            for n in rows
        )
        self.send(request, 200, f"<!DOCTYPE html><html><body>{links}</body></html>".encode())

    def file(self, request, name):
        if self.login and not self.allowed(request):
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="index"')
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if name in self.status:
            return self.send(request, self.status[name], b"an error")
        body = self.bodies.get(name, self.files[name].read_bytes())
        if name not in self.stall:
            return self.send(request, 200, body)
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: len(body) // 2])
        request.wfile.flush()
        self.stalled.set()
        self.released.wait(60)
        request.close_connection = True
        try:
            request.wfile.write(body[len(body) // 2 :])
        except OSError:  # nobody waits any more
            pass

    def allowed(self, request):
        import base64

        want = "Basic " + base64.b64encode(self.login.encode()).decode()
        return request.headers.get("Authorization") == want

    def send(self, request, status, body):
        request.send_response(status)
        request.send_header("Content-Type", "text/html")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


def normalize(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()

"""Serve the built book on this machine only: `python book/tools/serve.py --port 8000`."""

import argparse
import errno
import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the script may be started from anywhere

HTML = ROOT / "_build" / "html"
MODEL = "/_model/"  # where the model for the reader's GPU is found


@functools.cache
def served_model(name):
    """The ServedModel of this name; what it needs, torch for one, is loaded when the first reader asks."""
    from book.tools.served_model import ServedModel

    return ServedModel(name)


class BookHandler(SimpleHTTPRequestHandler):
    """Static files with the types that module scripts and WebAssembly insist on, and the book's own 404 page."""

    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".whl": "application/zip",
    }

    def __init__(self, *args, model, **options):
        self.model = model
        super().__init__(*args, **options)

    def do_GET(self):
        if self.path.startswith(MODEL):
            self.send_model()
        else:
            super().do_GET()

    def send_model(self):
        """A part of the model for the reader's GPU; 503 with one line where the model is not on this machine."""
        try:
            found = served_model(self.model).answer(self.path.removeprefix(MODEL))
        except (ValueError, OSError, RuntimeError) as error:
            found, code = ("text/plain; charset=utf-8", [str(error).splitlines()[0].encode()]), 503
        else:
            code = 200
        if found is None:
            return self.send_error(404)
        self.send_response(code)
        self.send_header("Content-Type", found[0])
        self.send_header("Content-Length", str(sum(len(piece) for piece in found[1])))
        self.end_headers()
        try:
            for piece in found[1]:
                self.wfile.write(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the reader pressed "Cancel"

    def send_error(self, code, message=None, explain=None):
        page = Path(self.directory) / "404.html"
        if code != 404 or not page.is_file():
            return super().send_error(code, message, explain)
        body = page.read_bytes()
        self.send_response(404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def end_headers(self):
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_request(self, code="-", size="-"):
        """Only failures are worth a line."""
        if str(code).startswith(("4", "5")):
            super().log_request(code, size)


class LoopbackServer(ThreadingHTTPServer):
    daemon_threads = True
    # a port that another server listens on must be refused, never shared
    allow_reuse_address = sys.platform != "win32"


def make_server(folder, port, model="smollm2"):
    """A server of one folder, and of one model, on 127.0.0.1. Raises OSError when the port is taken."""
    handler = functools.partial(BookHandler, directory=str(folder), model=model)
    return LoopbackServer(("127.0.0.1", port), handler)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--folder", type=Path, default=HTML, help="what to serve (default: the built book)")
    args = parser.parse_args(argv)
    if not (args.folder / "index.html").is_file():
        print(f"serve: {args.folder} has no index.html: run 'make book' first", file=sys.stderr)
        return 1
    if not 0 < args.port < 65536:
        print(f"serve: {args.port} is not a port; choose one between 1024 and 65535", file=sys.stderr)
        return 2
    try:
        server = make_server(args.folder, args.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            print(f"serve: port {args.port} is taken; try 'make serve PORT={args.port + 1}'", file=sys.stderr)
        else:
            print(f"serve: cannot listen on port {args.port}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"The book is at http://127.0.0.1:{args.port}/ (Ctrl+C stops it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Show the built site on this machine: ``python -m book.serve``, which ``make serve`` calls."""

import argparse
import functools
import http.server
import sys

from book.build import ROOT


class Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self):
        self.send_header("Cache-Control", "no-cache")  # a rebuilt page shows at once
        super().end_headers()

    def log_message(self, *_):
        pass


def serve(site, port=0):
    """Serve the folder `site` on this machine only; port 0 takes a free one.

    Returns
    -------
    http.server.ThreadingHTTPServer
        Not yet running: call ``serve_forever()``. ``server_port`` is the port.
    """
    handler = functools.partial(Handler, directory=str(site))
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)


def main():
    parser = argparse.ArgumentParser(prog="python -m book.serve", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    site = ROOT / "_build" / "html"
    if not (site / "index.html").is_file():
        sys.exit("There is no site yet: run `make book` first.")
    port = parser.parse_args().port
    try:
        server = serve(site, port)
    except OSError as error:
        sys.exit(f"Port {port} is taken ({error.strerror}): try `python -m book.serve --port 0`.")
    print(f"The book is at http://localhost:{server.server_port} (stop with Ctrl-C)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()

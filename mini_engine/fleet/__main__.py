"""Serve a model from several processes behind one address: `python -m mini_engine.fleet --replicas 2`."""

import argparse
import signal
import sys

import uvicorn

from mini_engine.commands.serve import bind
from mini_engine.fleet.front import create_front
from mini_engine.fleet.replicas import Fleet, serve_command
from mini_engine.fleet.router import POLICIES, Router
from mini_engine.loading import add_model_argument


def main(argv=None):
    """Serve until interrupted. What is not known here goes to each replica's own `serve` command."""
    parser = argparse.ArgumentParser(prog="python -m mini_engine.fleet", description=__doc__)
    parser.add_argument("--replicas", type=int, default=2, metavar="N", help="servers behind the address (default 2)")
    parser.add_argument("--policy", choices=POLICIES, default="prefix", help="who gets a request (default prefix)")
    parser.add_argument(
        "--weight", type=float, default=4.0, help="of a block to compute, against one in work (default 4)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default 8000); 0 takes a free one")
    add_model_argument(parser)
    args, rest = parser.parse_known_args(argv)
    try:
        fleet = Fleet(serve_command(args.model, *rest), args.replicas, Router(args.policy, args.weight))
        sock = bind(args.host, args.port)
    except (ValueError, OSError) as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1
    app = create_front(fleet)
    print(f"serving {args.model} at http://{args.host}:{sock.getsockname()[1]}/v1 (Ctrl+C stops)", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn stops gracefully and then raises the signal again
        signal.signal(number, lambda *_: None)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=10)).run(sockets=[sock])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The same server on Ray Serve, whose controller starts, watches and restarts workers, on one machine or on many.

Optional: `pip install ".[ray]"`. Nothing else imports this module.
"""

import argparse
import os

from mini_engine.commands.serve import add_engine_arguments, make_engine
from mini_engine.loading import add_model_argument
from mini_engine.serve.app import create_app


def make_app(model):
    """What one worker serves: our application, and /pid, which says who answered."""
    parser = argparse.ArgumentParser()
    add_model_argument(parser)
    add_engine_arguments(parser)
    app = create_app(make_engine(parser.parse_args(["--model", model])), model)
    app.add_api_route("/pid", os.getpid)
    return app


def serve_on_ray(model="smollm2", num_replicas=2, port=8000, num_cpus=0.5):
    """Serve from num_replicas workers; returns the address, once all are up. num_cpus: what Ray books for each."""
    from ray import serve

    def app():
        return make_app(model)

    @serve.deployment(num_replicas=num_replicas, max_ongoing_requests=64, ray_actor_options={"num_cpus": num_cpus})
    @serve.ingress(app)
    class Worker:
        pass

    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Worker.bind(), name="mini_engine", route_prefix="/")
    return f"http://127.0.0.1:{port}"

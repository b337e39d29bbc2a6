"""The workers of a Dask cluster, each with a process beside it that grades."""

import threading

from autograder.grading.archive import fingerprint
from autograder.grading.workers import LOG_CHARS, LocalPool

of_thread = threading.local()  # on a Dask worker: the pool of one process that grades for this thread


def grade_batch(tasks):
    """Runs on a Dask worker: results of a list of tasks, graded in a process beside the worker's own."""
    results = []
    for task in tasks:
        if getattr(of_thread, "pool", None) is None:
            of_thread.pool = LocalPool(1)
        of_thread.pool.submit([task])
        while of_thread.pool.num_running:
            results += of_thread.pool.results()
    return results


class DaskPool:
    """The workers of a Dask cluster. A task that was lost with its worker is run again by another one."""

    batch = 4

    def __init__(self, address):
        from dask.distributed import Client, as_completed

        self.client = Client(address, set_as_default=False, timeout=20)
        self.finished = as_completed(loop=self.client.loop, raise_errors=False)
        self.given = {}

    @property
    def size(self):
        """Batches to keep under way: one that runs and one that waits on each thread of the cluster."""
        return 2 * max(1, sum(self.client.nthreads().values()))

    def workers_of_another_version(self, assignment):
        """The addresses of workers that have another version of the course than this process."""
        found = self.client.run(fingerprint, assignment)
        return sorted(address for address, digest in found.items() if digest != fingerprint(assignment))

    def need(self, num_tasks):
        pass

    @property
    def num_running(self):
        return len(self.given)

    def submit(self, tasks):
        future = self.client.submit(grade_batch, tasks, pure=False)
        self.given[future.key] = tasks
        self.finished.add(future)

    def results(self):
        future = next(self.finished)
        tasks = self.given.pop(future.key)
        if future.status == "finished":
            yield from future.result()
            return
        reason = f"the cluster gave up on it ({type(future.exception()).__name__})"
        for task in tasks:
            lost = {"student": task["student"], "attempt": task["attempt"], "status": "died", "seconds": 0.0}
            yield lost | {"reason": reason, "log": str(future.exception())[-LOG_CHARS:]}

    def close(self):
        self.client.close()

    def __str__(self):
        return f"a cluster of {self.size // 2} workers"

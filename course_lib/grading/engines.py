"""Who runs the jobs: threads of this machine, each with a sandbox of its own.

:mod:`course_lib.grading.cluster` has the other engine, with the same interface: a context manager
whose ``run(jobs)`` takes pairs of a key and a job, and yields keys with a Run or an exception, in
the order in which they are ready. Only a few jobs are taken ahead, so that memory does not grow.
"""

import itertools
import os
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from course_lib.grading.sandbox import Limits, Sandbox, SandboxError

__all__ = ["LocalEngine", "Worker"]

TRIES = 2


class Worker:
    """Runs jobs one after the other, in a sandbox that is started at the first.

    A sandbox that fails is replaced once before the job counts as failed.
    """

    def __init__(self, preload, limits):
        self.preload, self.limits = tuple(preload), limits
        self.sandbox = None

    def run(self, job):
        """Return the Run of a job.

        Raises
        ------
        SandboxError
            If the sandbox failed twice.
        """
        for attempt in itertools.count(1):
            try:
                if self.sandbox is None:
                    self.sandbox = Sandbox(self.preload)
                return self.sandbox.run(job, self.limits)
            except SandboxError:
                self.stop()
                if attempt == TRIES:
                    raise

    def stop(self):
        """End the sandbox."""
        if self.sandbox is not None:
            self.sandbox.stop()
            self.sandbox = None


class LocalEngine:
    """The cores of this machine.

    Parameters
    ----------
    workers : int, optional
        Sandboxes at a time; as many as there are cores.
    preload : sequence of str
        Modules that each sandbox imports once.
    limits : Limits, optional
    """

    def __init__(self, workers=None, preload=("numpy",), limits=None):
        self.workers = workers or len(os.sched_getaffinity(0))
        self.preload, self.limits = preload, limits or Limits()
        self.own = threading.local()
        self.started = []

    def __enter__(self):
        self.threads = ThreadPoolExecutor(self.workers, thread_name_prefix="sandbox")
        return self

    def __exit__(self, *_):
        self.threads.shutdown(cancel_futures=True)
        for worker in self.started:
            worker.stop()

    def run(self, jobs):
        """Yield ``key, Run`` or ``key, exception`` for each of the pairs ``key, job``."""
        jobs, running = iter(jobs), {}
        while True:
            for key, job in itertools.islice(jobs, 2 * self.workers - len(running)):
                running[self.threads.submit(self._one, job)] = key
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.exception() or future.result()

    def _one(self, job):
        worker = getattr(self.own, "worker", None)
        if worker is None:
            _stay_on_a_core(len(self.started))
            worker = self.own.worker = Worker(self.preload, self.limits)
            self.started.append(worker)
        return worker.run(job)


def _stay_on_a_core(number):
    """Keep this thread, and the sandbox that it starts, on one core.

    Both processes of a job wait for each other all the time; to wake one up on another core takes
    longer than on the same.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})

"""Run the jobs on a Dask cluster: the same code on one machine, over SSH, on Slurm or Kubernetes.

Source: https://distributed.dask.org. The key of a task is the key of its result, so that nothing is
run twice; a result leaves the cluster's memory as soon as it is kept. A worker that dies is
replaced by another, three times for the same job, and a scheduler that is restarted is found
again: what was running is sent once more.
"""

import contextlib
import itertools
import threading
import time

from distributed import Client, LocalCluster, wait
from distributed.security import Security

from course_lib.grading.engines import Worker
from course_lib.grading.results import run_from_json, run_to_json
from course_lib.grading.sandbox import Limits, NotAvailableError

__all__ = ["ClusterEngine", "run_job", "security"]

RETRIES = 3  # of a job whose worker died
PATIENCE = 600  # seconds without a scheduler before the rest is not graded
POLL = 1.0  # seconds between looks at whether the scheduler is still there
own = threading.local()


def run_job(job, preload, limits):
    """Run a job on a worker; its sandbox stays warm for the next one.

    Returns
    -------
    dict
        The Run as JSON.
    """
    wanted = (tuple(preload), limits)
    if getattr(own, "wanted", None) != wanted:
        if hasattr(own, "worker"):
            own.worker.stop()
        own.worker, own.wanted = Worker(*wanted), wanted
    return run_to_json(own.worker.run(job))


def security(ca, certificate, key):
    """Return what lets only holders of a certificate of one authority talk to the cluster.

    Parameters
    ----------
    ca, certificate, key : path
        PEM files: the authority's certificate, one's own, and the key to it.
    """
    files = {"tls_ca_file": str(ca)}
    for role in ("client", "scheduler", "worker"):
        files |= {f"tls_{role}_cert": str(certificate), f"tls_{role}_key": str(key)}
    return Security(require_encryption=True, **files)


class ClusterEngine:
    """A Dask cluster.

    Parameters
    ----------
    address : str, optional
        Of a scheduler: ``"tcp://host:8786"``, or ``"tls://host:8786"`` with `security`. Without
        one a cluster of processes is started on this machine, and ended at the end.
    workers : int, optional
        Processes of such a cluster.
    security : Security, optional
        From :func:`security`.
    preload, limits
        As in :class:`~.engines.LocalEngine`.
    """

    def __init__(
        self,
        address=None,
        *,
        workers=None,
        security=None,
        preload=("numpy",),
        limits=None,
        patience=PATIENCE,
    ):
        self.address, self.workers, self.security = address, workers, security
        self.preload, self.limits, self.patience = tuple(preload), limits or Limits(), patience
        self.cluster = self.client = None

    def __enter__(self):
        if self.address is None:
            self.cluster = LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                dashboard_address=None,
                security=self.security,
            )
            self.address, self.security = self.cluster.scheduler_address, self.cluster.security
        self.client = self._connect()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):  # a scheduler that is gone cannot be told
            self.client.close(timeout=5)
        if self.cluster is not None:
            self.cluster.close(timeout=10)

    def _connect(self):
        return Client(self.address, security=self.security, set_as_default=False, timeout=30)

    def run(self, jobs):
        """Yield ``key, Run`` or ``key, exception`` for each of the pairs ``key, job``."""
        jobs, pending = iter(jobs), {}  # key -> job
        futures = {}  # key -> future
        while True:
            for key, job in itertools.islice(jobs, max(self._ahead() - len(pending), 0)):
                pending[key] = job
            for key in pending.keys() - futures.keys():
                futures[key] = self._submit(key, pending[key])
            if not pending:
                return
            for key in self._ready(futures):
                future = futures.pop(key)
                outcome = self._outcome(future)
                if outcome is None:
                    continue  # lost with its scheduler: it is sent again
                del pending[key]
                yield key, outcome
                future.release()

    def _ahead(self):
        """How many jobs are sent before results are back."""
        with contextlib.suppress(Exception):  # no scheduler at this moment
            return max(2 * sum(self.client.nthreads().values()), 2)
        return 2

    def _submit(self, key, job):
        return self.client.submit(
            run_job, job, self.preload, self.limits, key=key, retries=RETRIES, pure=True
        )

    def _ready(self, futures):
        """Wait until some futures are done or lost; return their keys."""
        waiting_since = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError, Exception):
                wait(list(futures.values()), timeout=POLL, return_when="FIRST_COMPLETED")
            ended = [key for key, future in futures.items() if future.status != "pending"]
            if ended:
                return ended
            if self.client.status == "running" and self.client.scheduler_info(n_workers=0):
                waiting_since = time.monotonic()
                continue
            if time.monotonic() - waiting_since > self.patience:
                return list(futures)
            if self.client.status in ("closed", "closing"):
                with contextlib.suppress(OSError, TimeoutError):
                    self.client = self._connect()
                    return list(futures)

    def _outcome(self, future):
        """Return a Run or an exception; None if the future was lost."""
        match future.status:
            case "finished":
                try:
                    return run_from_json(future.result(timeout=60))
                except Exception:  # the worker that held it died just now
                    return None
            case "error":
                error = future.exception(timeout=60)
                if isinstance(error, NotAvailableError):
                    return NotAvailableError(f"on a worker: {error}")
                return error
            case "pending":
                return TimeoutError("the cluster's scheduler did not come back")
        return None  # cancelled, lost

"""Run the jobs on a Dask cluster: the same code on one machine, over SSH, on Slurm or Kubernetes.

Source: https://distributed.dask.org. The key of a task is the key of its result, so that nothing is
run twice; a result leaves the cluster's memory as soon as it is kept. What a dead worker ran goes
to another one. Workers end with their scheduler: when both are back at the same address, what was
running is sent once more.
"""

import contextlib
import ipaddress
import itertools
import socket
import threading
import time
from urllib.parse import urlsplit

import dask
from distributed import CancelledError, Client, LocalCluster, wait
from distributed.client import ClosedClientError
from distributed.comm import parse_address
from distributed.security import Security

from course_lib.grading.course import CourseError
from course_lib.grading.engines import Worker
from course_lib.grading.results import environment, run_from_json, run_to_json
from course_lib.grading.sandbox import Limits, NotAvailableError, SandboxError

__all__ = ["ClusterEngine", "run_job", "security"]

RETRIES = 3  # of a job that failed on one worker and may succeed on another
PATIENCE = 600  # seconds without a scheduler or without workers before the rest is not graded
POLL = 1.0  # seconds between looks at whether they are still there
CONNECT = 30  # seconds until a scheduler must have answered
NO_PAGES = {"distributed.scheduler.http.routes": []}  # its pages ask nobody for a certificate
GATHER = 60  # seconds until a result must have come over
own = threading.local()


def run_job(job, preload, limits, expected):
    """Run a job on a worker; its sandbox stays warm for the next one.

    Parameters
    ----------
    job : Job
    preload, limits
        As in :class:`~.engines.LocalEngine`.
    expected : str
        The :func:`~.results.environment` of the machine that asks.

    Returns
    -------
    dict
        The Run as JSON.

    Raises
    ------
    NotAvailableError
        If this machine has no sandbox.
    SandboxError
        If the sandbox failed, or if this machine has other versions installed, which could score
        differently.
    """
    if environment() != expected:
        raise SandboxError(
            f"the worker on {socket.gethostname()} has another version of the course or of a "
            "package than the machine that grades; install the same lock file on both"
        )
    wanted = (tuple(preload), limits)
    if getattr(own, "wanted", None) != wanted:
        if hasattr(own, "worker"):
            own.worker.stop()
        own.worker, own.wanted = Worker(*wanted), wanted
    try:
        return run_to_json(own.worker.run(job))
    except NotAvailableError as error:
        raise NotAvailableError(f"on the worker {socket.gethostname()}: {error}") from None


def security(ca, certificate, key):
    """Return what lets only holders of a certificate of one authority talk to the cluster.

    Parameters
    ----------
    ca, certificate, key : path
        PEM files, as :func:`~.certificates.make_certificates` writes them: the authority's
        certificate, one's own, and the key to it.

    Raises
    ------
    CourseError
        If one of them is not there.
    """
    for path in (ca, certificate, key):
        if not path.is_file():
            raise CourseError(f"TLS: there is no {path}; `course certificates FOLDER` makes it")
    files = {"tls_ca_file": str(ca)}
    for role in ("client", "scheduler", "worker"):
        files |= {f"tls_{role}_cert": str(certificate), f"tls_{role}_key": str(key)}
    return Security(require_encryption=True, **files)


def is_safe(address):
    """Whether nobody on another machine can read or change what is sent to an address."""
    scheme, place = parse_address(address)
    if scheme in ("tls", "wss", "inproc"):
        return True
    host = urlsplit(f"//{place}").hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may stand for any machine
        return False


class ClusterEngine:
    """A Dask cluster.

    Parameters
    ----------
    address : str, optional
        Of a scheduler: ``"tls://host:8786"`` with `security`, or ``"tcp://127.0.0.1:8786"``.
        Without one, a cluster of processes is started on this machine, and ended at the end;
        temporary certificates keep the machine's other users out.
    workers : int, optional
        Processes of such a cluster.
    security : Security, optional
        From :func:`security`.
    plain : bool
        Allow an address that is not this machine's without TLS. Whoever reaches it can then run
        anything on the cluster, and read and forge what it returns.
    preload, limits
        As in :class:`~.engines.LocalEngine`.
    patience : float
        Seconds without a scheduler or without workers, before what is left is not graded.

    Raises
    ------
    CourseError
        If the address is not this machine's and not encrypted, or nothing answers there.
    """

    def __init__(
        self,
        address=None,
        *,
        workers=None,
        security=None,
        plain=False,
        preload=("numpy",),
        limits=None,
        patience=PATIENCE,
    ):
        if address is not None and not (plain or is_safe(address)):
            raise CourseError(
                f"{address}: the channel to a cluster must be encrypted, because whoever reaches "
                "it can run anything there. Expected tls://HOST:PORT with certificates "
                "(`course certificates FOLDER` makes them), or --plain where nobody else reaches it"
            )
        self.address, self.workers, self.security = address, workers, security
        self.preload, self.limits, self.patience = tuple(preload), limits or Limits(), patience
        self.cluster = self.client = None

    def __enter__(self):
        if self.address is None:
            with dask.config.set(NO_PAGES):
                self.cluster = LocalCluster(
                    n_workers=self.workers,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    security=self.security or True,
                )
            self.address, self.security = self.cluster.scheduler_address, self.cluster.security
        try:
            self.client = self._connect()
        except Exception as error:  # of the network, of TLS, or of Dask
            self.__exit__()
            raise CourseError(
                f"{self.address}: no Dask scheduler answers there, or not with these "
                f"certificates: {error}"
            ) from error
        return self

    def __exit__(self, *_):
        if self.client is not None:
            with contextlib.suppress(Exception, CancelledError):  # nobody there to be told
                self.client.close(timeout=5)
        if self.cluster is not None:
            self.cluster.close(timeout=10)

    def _connect(self):
        return Client(self.address, security=self.security, set_as_default=False, timeout=CONNECT)

    def run(self, jobs):
        """Yield ``key, Run`` or ``key, exception`` for each of the pairs ``key, job``."""
        jobs, pending, futures = iter(jobs), {}, {}  # pending: key -> job
        self.seen = time.monotonic()
        while time.monotonic() - self.seen < self.patience:
            self._find_scheduler()
            for key, job in itertools.islice(jobs, max(self._ahead() - len(pending), 0)):
                pending[key] = job
            if not pending:
                return
            self._submit({key: job for key, job in pending.items() if key not in futures}, futures)
            self._wait(futures)
            for key in [key for key, future in futures.items() if future.status != "pending"]:
                future = futures.pop(key)
                outcome = self._outcome(future)
                future.release()
                if outcome is not None:  # else lost with its scheduler: it is sent again
                    self.seen = time.monotonic()
                    del pending[key]
                    yield key, outcome
        for key in itertools.chain(pending, (key for key, _ in jobs)):
            reason = f"no scheduler with workers at {self.address} for {self.patience:g} s"
            yield key, TimeoutError(reason)

    def _find_scheduler(self):
        """Connect anew if the client gave its scheduler up."""
        if self.client.status in ("closed", "closing"):
            with contextlib.suppress(Exception, CancelledError):
                self.client = self._connect()

    def _ahead(self):
        """How many jobs are sent before results are back."""
        return max(2 * self._threads(), 2)

    def _threads(self):
        """How many threads the workers have, together; 0 without a scheduler."""
        if self.client.status == "running":
            with contextlib.suppress(Exception, CancelledError):  # it went just now
                return sum(self.client.nthreads().values())
        return 0

    def _submit(self, jobs, futures):
        """Send jobs, as far as there is somebody to send them to."""
        for key, job in jobs.items():
            with contextlib.suppress(ClosedClientError):
                futures[key] = self.client.submit(
                    run_job,
                    *(job, self.preload, self.limits, environment()),
                    key=key,
                    retries=RETRIES,
                    pure=True,
                )

    def _wait(self, futures):
        """Wait until a future is done or lost, or a moment has gone by."""
        if not futures:  # the client closed just now
            time.sleep(POLL)
            return
        try:
            with self.client.as_current():
                wait(list(futures.values()), timeout=POLL, return_when="FIRST_COMPLETED")
        except (Exception, CancelledError):  # nothing was done in time, or a future is lost
            if self._threads():
                self.seen = time.monotonic()

    def _outcome(self, future):
        """Return a Run or an exception; None if the future was lost."""
        with contextlib.suppress(OSError, TimeoutError, CancelledError):  # its worker died just now
            match future.status:
                case "finished":
                    return run_from_json(future.result(timeout=GATHER))
                case "error":
                    return future.exception(timeout=GATHER)
        return None

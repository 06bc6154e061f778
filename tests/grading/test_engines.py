"""The engine of this machine: few jobs ahead, a failed sandbox replaced once, nothing lost."""

import pytest

from course_lib.grading import engines
from course_lib.grading.engines import LocalEngine, Worker
from course_lib.grading.sandbox import Limits, SandboxError


class Fake:
    """A sandbox that returns the job, or fails as often as it is told."""

    failures, started, stopped = 0, 0, 0

    def __init__(self, preload):
        type(self).started += 1

    def run(self, job, limits):
        if type(self).failures:
            type(self).failures -= 1
            raise SandboxError("it broke")
        if job == "bad":
            raise ValueError("a job that cannot be run")
        return f"ran {job}"

    def stop(self):
        type(self).stopped += 1


@pytest.fixture
def fake(monkeypatch):
    kind = type("Fake", (Fake,), {})
    monkeypatch.setattr(engines, "Sandbox", kind)
    return kind


def test_every_job_comes_back(fake):
    jobs = [(str(n), f"job {n}") for n in range(20)]
    with LocalEngine(3) as engine:
        found = dict(engine.run(jobs))
    assert found == {key: f"ran {job}" for key, job in jobs}
    assert fake.started == fake.stopped <= 3


def test_an_exception_comes_back_as_one(fake):
    with LocalEngine(1) as engine:
        found = dict(engine.run([("a", "bad"), ("b", "good")]))
    assert str(found["a"]) == "a job that cannot be run"
    assert found["b"] == "ran good"


def test_few_jobs_are_taken_ahead(fake):
    taken = []

    def jobs():
        for number in range(50):
            taken.append(number)
            yield str(number), number

    with LocalEngine(2) as engine:
        for done, _ in enumerate(engine.run(jobs()), 1):
            assert len(taken) - done < 4
    assert len(taken) == 50


def test_a_sandbox_that_fails_is_replaced_once(fake):
    worker = Worker(["numpy"], Limits())
    fake.failures = 1
    assert worker.run("job") == "ran job"
    assert (fake.started, fake.stopped) == (2, 1)
    fake.failures = 2
    with pytest.raises(SandboxError, match="it broke"):
        worker.run("job")


def test_no_jobs(fake):
    with LocalEngine(2) as engine:
        assert list(engine.run([])) == []
    assert fake.started == 0

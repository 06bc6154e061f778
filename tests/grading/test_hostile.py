# ruff: noqa: E501 (attacks in one line each)
"""Hostile submissions: each costs the check that it attacks, and nobody anything else.

Every case is a notebook of four cells: an honest function, the attack, the check that is attacked,
and the check of the honest function. The attack's function `f` is always wrong, so that a point for
it is a forged one.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from course_lib.grading.sandbox import Cell, Job, Limits, supervisor
from course_lib.grading.sandbox.bubblewrap import own_places

LIMITS = Limits(
    memory_mb=256, disk_mb=8, processes=24, cpu_seconds=20, output_bytes=1 << 20, total_seconds=40
)
HONEST = "def one():\n    return 1"
CHECK = "assert f(3) == 9"
SECRET = "sesame"  # in the judge's names and in the checks
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Kill a second after a cell is late."""
    monkeypatch.setattr(supervisor, "GRACE", 1)


def descendants(process):
    """Processes below one, by number."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(
                folder.joinpath("stat").read_text().split(")")[-1].split()[1]
            )
        except (OSError, ValueError):
            continue
    found, new = set(), {process}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def ran(sandbox, *cells, opaque=("f", "one"), limits=LIMITS, **more):
    """Run ``(kind, source[, names])``; return the outcomes in order."""
    made = tuple(
        Cell(number, source, kind, 1, tuple(*names))
        for number, (kind, source, *names) in enumerate(cells, 1)
    )
    outcomes = sandbox.run(Job(made, opaque=opaque, **more), limits).outcomes
    return [outcomes[cell.number] for cell in made]


def errors(outcome):
    return [f"{o['ename']}: {o['evalue']}" for o in outcome.outputs if o["output_type"] == "error"]


def text(outcome):
    return "".join(o.get("text", "") for o in outcome.outputs)


@pytest.fixture
def attack(sandbox):
    """Return a function that runs an attack; afterwards nothing is left, and honest work counts."""

    def run(source, check=CHECK, **more):
        return ran(
            sandbox,
            ("student", HONEST),
            ("student", source),
            ("graded", check, ["f"]),
            ("graded", "assert one() == 1", ["one"]),
            **more,
        )

    yield run
    outcomes = ran(sandbox, ("student", HONEST), ("graded", "assert one() == 1", ["one"]))
    assert [errors(outcome) for outcome in outcomes] == [[], []]
    ends = time.monotonic() + 5
    while len(left := descendants(sandbox.process.pid)) > 2 and time.monotonic() < ends:
        time.sleep(0.02)
    assert len(left) <= 2, left  # bubblewrap's first process, and the warm one


def indented(body):
    return "def f(x):\n" + "\n".join(f"    {line}" for line in body.split("\n"))


def assert_only_this_check_is_lost(outcomes):
    """Check that the attacked check failed with an error and no result, and the other did not."""
    *_, attacked, other = outcomes
    assert errors(attacked)
    assert not [o for o in attacked.outputs if o["output_type"] == "execute_result"]
    assert errors(other) == []


# What a cell or a function does instead of its work.
DEEDS = {
    "raises": "raise NotImplementedError",
    "asks": "input()",
    "exits": "import sys\nsys.exit()",
    "quits": "exit()",
    "ends the process": "import os\nos._exit(0)",
    "segfault": "import ctypes\nctypes.string_at(0)",
    "aborts": "import os\nos.abort()",
    "kills itself": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nos.kill(-1, 9)\nos._exit(1)",
    "endless": "while True:\n    pass",
    "endless, catches everything": "while True:\n    try:\n        while True: pass\n"
    "    except BaseException: pass",
    "sleeps": "import time\ntime.sleep(1000)",
    "sleeps without alarms": "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
    "time.sleep(1000)",
    "outlives its death signal": "import ctypes, time\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\n"
    "while True:\n    try: time.sleep(9)\n    except BaseException: pass",
    "endless in C": "sum(range(10**15))",
    "stops itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass",
    "recurses": "def g(): return g()\ng()",
    "recurses in C": "import sys\nsys.setrecursionlimit(10**9)\ndef g(): return [*map(lambda _: g(), [1])]\ng()",
    "memory in an array": "import numpy as np\nnp.ones(10**9)",
    "memory in lists": "kept = []\nwhile True: kept.append([0] * 10**6)",
    "shared memory": "import mmap\nfor i in range(0, 1 << 31, 4096):\n    if not i: m = mmap.mmap(-1, 1 << 31)\n    m[i] = 1",
    "memory in a file": "import os\nos.write(os.memfd_create('x'), b'x')",
    "memory of System V": "import ctypes\nif ctypes.CDLL(None).shmget(0, 1 << 20, 0o1600) < 0: raise OSError",
    "memory in /dev/shm": "for i in range(99): open(f'/dev/shm/{i}', 'wb').write(b'x' * (1 << 22))",
    "full disk": "for i in range(99): open(f'/scratch/{i}', 'wb').write(b'x' * (1 << 22))",
    "one large file": "import os\nos.truncate(os.open('/scratch/x', os.O_CREAT | os.O_RDWR), 1 << 40)",
    "many files": "for i in range(10**5): open(f'/tmp/{i}', 'wb')",
    "forks": "import os\nwhile True: os.fork()",
    "threads": "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,)).start()",
    "prints without end": "while True: print('x' * 10**5)",
    "displays without end": "from IPython.display import display\nwhile True: display('x' * 10**5)",
    "imports what shadows": "import numpy.nothing",
}  # fmt: skip
ENDLESS_OUTPUT = ("prints without end", "displays without end")


@pytest.mark.parametrize("deed", DEEDS)
def test_at_the_top(attack, deed):
    outcomes = attack(DEEDS[deed])
    assert errors(outcomes[1])
    assert_only_this_check_is_lost(outcomes)


@pytest.mark.parametrize("deed", DEEDS)
def test_in_a_call(attack, deed):
    assert_only_this_check_is_lost(attack(indented(DEEDS[deed])))


def test_syntax_error(attack):
    assert_only_this_check_is_lost(attack("def f(x) return 9"))


# Values that a wrong function returns.
RETURNED = {
    "wrong shape": "np.full((3, 2), 9)",
    "nothing": "None",
    "nan": "float('nan')",
    "infinity": "float('inf')",
    "huge int": "10**5000",
    "huge key": "{10**5000: 9}",
    "surrogates": "'\\ud800'",
    "true": "Yes()",
    "true float": "type('float', (float,), {'__eq__': Yes.__eq__})(1)",
    "true str": "type('str', (str,), {'__eq__': Yes.__eq__})('')",
    "true tuple": "type('tuple', (tuple,), {'__eq__': Yes.__eq__})()",
    "true list": "type('list', (list,), {'__eq__': Yes.__eq__})()",
    "true dict": "type('dict', (dict,), {'__eq__': Yes.__eq__})()",
    "true array": "np.zeros(1).view(type('a', (np.ndarray,), {'__eq__': Yes.__eq__}))",
    "array of true objects": "np.array([Yes()], object)",
    "list of true objects": "[Yes()]",
    "set of true objects": "{Yes()}",
    "dict of true objects": "{Yes(): Yes()}",
    "records": "np.zeros(2, [('a', 'f8')])",
    "class": "Yes",
    "function": "Yes.__eq__",
    "module": "np",
    "generator": "(i for i in range(3))",
    "endless iterator": "__import__('itertools').count()",
    "contains itself": "(lambda l: l.append(l) or l)([])",
    "deep": "__import__('functools').reduce(lambda l, _: [l], range(500), [])",
    "wide and deep": "__import__('functools').reduce(lambda l, _: [l, l], range(99), [])",
    "shrugs": "Shrug()",
    "larger than memory": "np.zeros(1 << 24)",
    "warns": "__import__('warnings').warn('9')",
    "clone": "__import__('os').fork()",
}
TYPES = """
import numpy as np
class Yes:
    __eq__ = __ge__ = __le__ = __lt__ = __gt__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __sub__ = __rsub__ = __abs__ = lambda self, *other: 0.0
    __hash__ = lambda self: 0
    __bool__ = lambda self: True
    __array__ = lambda self, *_, **__: np.array(9)
    __float__ = lambda self: 9.0
class Shrug:
    def loop(self, *_):
        while True: pass
    def fail(self, *_): raise KeyboardInterrupt
    __repr__ = __hash__ = __len__ = __iter__ = fail
    __bool__ = __eq__ = __getattr__ = loop
"""
CHECKS = {
    "equal": CHECK,
    "difference": "assert abs(f(3) - 9) < 1e-9",
    "close": "from course_lib.grading.checks import check_close\ncheck_close('f', f(3), 9, hint='')",
    "numpy": "import numpy as np\nnp.testing.assert_allclose(f(3), 9)",
}


@pytest.mark.parametrize("value", RETURNED)
def test_returned(attack, value):
    assert_only_this_check_is_lost(attack(f"{TYPES}\n{indented(f'return {RETURNED[value]}')}"))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("value", ["true", "true float", "true array", "list of true objects"])
def test_no_check_believes_an_object(attack, value, check):
    source = f"{TYPES}\n{indented(f'return {RETURNED[value]}')}"
    assert_only_this_check_is_lost(attack(source, CHECKS[check]))


RAISED = {
    "error that raises": "class E(Exception):\n    def __str__(self): raise self\nraise E",
    "error that loops": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
    "interrupt": "raise KeyboardInterrupt",
    "end of an iteration": "raise StopIteration(9)",
    "end of a generator": "raise GeneratorExit",
    "the machine's own": "from course_lib.grading.sandbox.remote import Lost\nraise Lost('x')",
    "bare": "class E(BaseException): pass\nraise E",
    "many errors": "raise ExceptionGroup('x', [ValueError()])",
}


@pytest.mark.parametrize("error", RAISED)
def test_raised(attack, error):
    assert_only_this_check_is_lost(attack(indented(RAISED[error])))


# Ways to a point that need no right answer, if check and submission share a process.
FORGERIES = {
    "patched np.testing": "import numpy as np\nnp.testing.assert_allclose = lambda *a, **k: None",
    "patched checks": "import course_lib.grading.checks as c\nc.check_close = lambda *a, **k: None",
    "patched builtins": "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.AssertionError = Exception",
    "patched IPython": "get_ipython().run_cell = lambda *a, **k: None",
    "displayhook": "get_ipython().displayhook(9.0)",
    "displayhook in the call": indented("get_ipython().displayhook(9.0)"),
    "printed score": indented("print(9.0)"),
    "shown score": indented("from IPython.display import display\ndisplay(9.0)"),
    "rewritten sources": "get_ipython().input_transformers_post.append(lambda lines: ['pass'])",
    "rewritten trees": "import ast\nclass T(ast.NodeTransformer):\n    def visit_Assert(self, n): return ast.Pass()\n"
    "get_ipython().ast_transformers.append(T())",
    "events": "get_ipython().events.register('pre_run_cell', lambda *a: exec('def f(x): return None'))",
    "thread": "import threading, time\ndef run():\n    while True:\n        globals().update(CHECK='')\n        time.sleep(.01)\n"
    "threading.Thread(target=run, daemon=True).start()",
    "trace": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)",
    "audit": "import sys\nsys.addaudithook(lambda *a: None)",
    "atexit": "import atexit\natexit.register(print, 9.0)",
    "import hook": "import sys\nsys.meta_path.insert(0, type('M', (), {'find_spec': lambda *a: None})())",
    "same names": "np = assert_ = expected = check_close = check = secret = None",
    "no errors": "import sys\nsys.excepthook = lambda *a: None\nget_ipython().showtraceback = lambda *a: None",
    "files": "open('numpy.py', 'w').write('x')\nopen('sitecustomize.py', 'w').write('x')",
    "clone": "import os\nif os.fork() == 0:\n    import time\n    time.sleep(.2)",
    "daemon": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(1000)\n    os._exit(0)",
}  # fmt: skip


@pytest.mark.parametrize("check", ["equal", "close"])
@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged(attack, forgery, check):
    wrong = "" if "def f" in FORGERIES[forgery] else "def f(x): return 0\n"
    assert_only_this_check_is_lost(attack(f"{wrong}{FORGERIES[forgery]}", CHECKS[check]))


def test_modules_taken_away_cost_only_their_owner(attack):
    outcomes = attack("import sys\nsys.modules.clear()\ndef f(x): return 0")
    assert errors(outcomes[2])


def test_modules_that_shadow_the_libraries(attack):
    lie = b"def assert_allclose(*_, **__): pass\ncheck_close = assert_allclose\ntesting = None"
    names = ("numpy.py", "numpy/__init__.py", "course_lib/grading/checks.py", "tabnanny.py")
    outcomes = attack(
        "def f(x): return 0",
        "import numpy as np, tabnanny\nassert tabnanny.check\nnp.testing.assert_allclose(f(3), 9)",
        own_files={name: lie for name in names if name != "numpy.py"},
    )
    assert_only_this_check_is_lost(outcomes)
    assert errors(outcomes[2])[0].startswith("AssertionError: \nNot equal to tolerance")


def test_an_error_counts_however_much_was_shown_before(attack):
    check = "import sys\nfor _ in range(150):\n    f(0)\n    print('.', file=sys.stderr)\nassert f(3) == 9"
    outcomes = attack("def f(x): print('!')", check)
    assert_only_this_check_is_lost(outcomes)
    assert errors(outcomes[2]) == ["AssertionError: "]


# Frames into the sockets that a submission finds among its descriptors.
WIRE = """
import json, os, socket, struct
def frame(message, buffers=()):
    header = json.dumps([message, list(map(len, buffers))]).encode()
    return struct.pack("<I", len(header)) + header + b"".join(buffers)
def send(data):
    for descriptor in range(3, 256):
        try:
            end = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue
        try:
            end.setblocking(False)
            end.sendall(data)
        except OSError:
            pass
"""
FRAMES = {
    "noise": "b'noise' * 99",
    "huge": "b'\\xff' * 8",
    "empty": "bytes(4)",
    "deep": "struct.pack('<I', 99999) + b'[' * 99999",
    "no pair": "struct.pack('<I', 3) + b'[1]'",
    "negative": "struct.pack('<I', 11) + b'[[1], [-1]]'",
    "a result": "frame({'cell': 3, 'outputs': []})",
    "a strange result": "frame({'cell': 2, 'outputs': [{'output_type': []}, 5, {}]})",
    "a strange time": "frame({'cell': 2, 'outputs': [], 'seconds': float('nan')})",
    "begin": "frame({'begin': 4})",
    "done": "frame({'done': True, 'opaque': [], 'libraries': {}})",
    "lost": "frame({'lost': 4, 'reason': '', 'late': True})",
    "ran": "frame(['ran', []])",
    "a value": "frame(['value', ['plain', 9], {}])",
    "a changed argument": "frame(['value', ['int', '0x0'], {'1/9': ['list'], '0': ['list'], 'x/y': 1}])",
    "a copy": "frame(['value', ['copy', '8004632e'], {}])",
    "an error": "frame(['error', ['AssertionError'], '', []])",
    "no error": "frame(['error', 9])",
    "questions": "frame(['ask', 'name', ['list', ['plain', 'secret']], {}]) * 9",
    "a write": "frame(['write', 1], [b'x'])",
}


@pytest.mark.parametrize("name", FRAMES)
def test_forged_frames_at_the_top(attack, name):
    outcomes = attack(f"{WIRE}\ndef f(x): return 0\nsend({FRAMES[name]})")
    assert errors(outcomes[2])


@pytest.mark.parametrize("name", FRAMES)
def test_forged_frames_in_a_call(attack, name):
    outcomes = attack(f"{WIRE}\ndef f(x):\n    send({FRAMES[name]})\n    return 0")
    assert errors(outcomes[2])


def test_a_trickle_of_bytes_puts_no_deadline_off(attack):
    started = time.monotonic()
    drip = (
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: send(b'\\xff')"
    )
    assert_only_this_check_is_lost(attack(f"{WIRE}\n{drip}", limits=LIMITS))
    assert time.monotonic() - started < 20


# What a submission asks of the judge, past the objects that it was passed.
ASK = """
def ask(thing, *question, **options):
    return object.__getattribute__(thing, "_link").ask(*question, **options)
"""
QUESTIONS = {
    "format": "ask(ask(g, 'attribute', '{0.__globals__}', 'format'), 'call', "
    "ask(g, 'attribute', '{0.__globals__}', 'format'), [g], {})",
    "a file": "ask(g, 'attribute', __import__('numpy').zeros(3), 'tofile')",
    "globals": "ask(g, 'attribute', g, '__globals__')",
    "code": "ask(g, 'attribute', g, '__code__')",
    "a name": "ask(g, 'name', 'secret')",
    "class": "ask(thing, 'attribute', thing, '__class__')",
    "dict": "ask(thing, 'attribute', thing, '__dict__')",
    "the function of a method": "ask(thing, 'attribute', thing.go, '__func__')",
    "the module": "ask(thing, 'attribute', thing.module, 'sys')",
    "a path": "ask(thing, 'attribute', thing.place, 'write_text')",
    "an array's file": "ask(thing, 'attribute', thing.objects, 'dump')",
    "a text's format": "ask(thing, 'attribute', thing.word, 'format')",
    "memory": "thing.generator.bit_generator.ctypes",
    "to set": "ask(g, 'set attribute', g, '__code__', 1)",
    "a word of its own": "ask(g, 'call', 'x', [], {})",
    "an operation of its own": "ask(g, 'operate', 'pow', [9, 9])",
    "no operator": "ask(g, 'operate', 'attrgetter', [g])",
    "no builtin": "ask(g, 'apply', 'eval', [g])",
    "an iterator of its own": "ask(g, 'apply', 'iter', [[1]])",
}
PASSED = """
import os, pathlib
import numpy as np
secret = 'sesame'
class Thing:
    module, place = os, pathlib.Path('/scratch/tabnanny.py')
    objects, generator = np.array([None]), np.random.default_rng(0)
    word = type('Word', (str,), {})('{0}')
    def go(self): return 'sesame'
f(lambda: secret, Thing())
"""


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_to_the_judge(attack, question):
    source = f"{ASK}\ndef f(g, thing):\n    return {QUESTIONS[question]}"
    outcomes = attack(source, PASSED)
    assert_only_this_check_is_lost(outcomes)
    (error,) = errors(outcomes[2])
    assert "a check shows no more" in error or error.startswith(("ValueError: ", "TypeError: "))
    assert SECRET not in error


@pytest.mark.parametrize("way", ["__array_interface__", "__array_struct__", "__dlpack__"])
def test_no_address_is_believed(attack, way):
    liar = (
        "class Liar: pass\ndef f(x):\n    liar = Liar()\n"
        f"    liar.{way} = {{'data': (id(liar), True), 'shape': (), 'typestr': '<i8', 'version': 3}}\n"
        "    return liar"
    )
    check = "import numpy as np\nassert np.asarray(f(3)).dtype != object"
    assert_only_this_check_is_lost(attack(liar, check, opaque=("f", "f()", "one")))


def test_no_code_in_c_takes_an_object_for_its_own(attack):
    liar = (
        "class Liar: pass\nLiar.__module__, Liar.__qualname__ = 'numpy', 'ndarray'\n"
        "def f(x): return Liar()"
    )
    check = "import numpy as np\nassert isinstance(f(3), np.ndarray)"
    assert_only_this_check_is_lost(attack(liar, check, opaque=("f", "f()", "one")))


# What a submission may try to see or to do outside; each prints nothing, or raises.
SPIES = {
    "frames": "import sys\nframe = sys._getframe()\nwhile frame:\n"
    "    if 'ses' + 'ame' in str(frame.f_globals.get('secret')): print('seen')\n    frame = frame.f_back",
    "gc": "import gc\nfor o in gc.get_objects():\n"
    "    if type(o) is dict and o.get('secret') == 'ses' + 'ame': print('seen')",
    "memory": "import re\nfor line in open('/proc/self/maps'):\n"
    "    if '[heap]' not in line: continue\n"
    "    start, end = (int(x, 16) for x in line.split()[0].split('-'))\n"
    "    with open('/proc/self/mem', 'rb', 0) as memory:\n        memory.seek(start)\n"
    "        if ('secret = ' + repr('ses' + 'ame')).encode() in memory.read(end - start): print('seen')",
    "processes": "import os\nif [n for n in os.listdir('/proc') if n.isdigit()] != ['1']: print('seen')",
    "arguments": "if 'bwrap' in open('/proc/1/cmdline').read(): print('seen')",
    "folders": "import os\nfor place in '/home /root/.ssh /etc/passwd /etc/shadow /var /srv /opt/x "
    "/course/solutions /course/tests'.split():\n    if os.path.exists(place): print(place)",
    "repository": f"import os\nfor n in ('solutions', 'tests', 'gradebook.db', 'submitted', '.git'):\n"
    f"    if os.path.exists(os.path.join({str(ROOT)!r}, n)): print(n)",
    "link": "import os\nos.symlink('/etc/passwd', 'link')\nopen('link').read()",
    "walk": "import os\nfor root, folders, names in os.walk('/'):\n"
    "    folders[:] = [n for n in folders if n not in ('proc', 'lib', 'lib64', 'lib32', 'share')]\n"
    "    for n in names:\n        if n.endswith(('.ipynb', '.db')): print(root, n)",
    "libraries": "import course_lib, os\nopen(os.path.join(os.path.dirname(course_lib.__file__), 'x'), 'w')",
    "root": "open('/x', 'w')",
    "devices": "open('/dev/x', 'w')",
    "kernel": "open('/proc/sys/kernel/core_pattern', 'w').write('|/x')",
    "kernel's memory": "open('/dev/mem')",
    "socket": "import socket\nsocket.create_connection(('1.1.1.1', 53), 1)",
    "datagram": "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "unix": "import socket\nsocket.socket(socket.AF_UNIX).connect('/run/x')",
    "abstract": "import socket\nsocket.socket(socket.AF_UNIX).bind('\\0x')",
    "raw": "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "netlink": "import socket\nsocket.socket(socket.AF_NETLINK)",
    "names of hosts": "import socket\nprint(socket.gethostbyname('localhost.example'))",
    "user": "import os\nos.setuid(0)",
    "root's rights": "import os\nos.chroot('/')",
    "priority": "import os\nos.nice(-5)",
    "another process": "import os\nos.kill(2, 9)",
    "signals to all": "import os\nos.kill(-1, 9)",
    "a program": "import subprocess\nprint(subprocess.run(['/bin/sh', '-c', 'id'], capture_output=True).stdout)",
    "setuid": "import glob, os\nfor path in glob.glob('/usr/lib/**/*', recursive=True):\n"
    "    if os.path.isfile(path) and os.stat(path).st_mode & 0o4000 and not os.statvfs(path).f_flag & 2: print(path)",
    "limits": "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (-1, -1))",
    "capabilities": "for line in open('/proc/self/status'):\n"
    "    if line.startswith('Cap') and int(line.split()[1], 16): print(line)\n"
    "    if line.startswith(('NoNewPrivs', 'Seccomp:')) and not int(line.split()[1]): print(line)",
    "pickle": "import pickle\nclass P:\n    def __reduce__(self): return (print, ('x',))\npickle.dumps(P())",
}  # fmt: skip


@pytest.mark.parametrize("spy", SPIES)
def test_nothing_is_seen_outside(sandbox, attack, spy):
    _, seen, _ = ran(
        sandbox,
        ("given", "pass"),
        ("student", SPIES[spy]),
        ("graded", f"secret = {SECRET!r}"),
    )
    assert text(seen) == ""
    indirect = attack(indented(SPIES[spy]) + "\n    return 0", f"secret = {SECRET!r}\n{CHECK}")
    assert text(indirect[2]) == ""
    assert errors(indirect[2])


CALLS = {  # numbers on x86_64, and arguments
    "socket": (41, 2, 1, 0), "connect": (42, 0, 0, 0), "bind": (49, 0, 0, 0), "clone for a user": (56, 0x10000011, 0, 0, 0, 0),
    "clone for a network": (56, 0x40000011, 0, 0, 0, 0), "ptrace": (101, 0, 0, 0, 0), "syslog": (103, 2, 0, 0),
    "personality": (135, 0x40000), "pivot_root": (155, 0, 0), "chroot": (161, 0), "mount": (165, 0, 0, 0, 0, 0),
    "umount": (166, 0, 0), "reboot": (169, 0, 0, 0, 0), "init_module": (175, 0, 0, 0), "add_key": (248, 0, 0, 0, 0, 0),
    "keyctl": (250, 0, 0), "unshare": (272, 0x10000000), "vmsplice": (278, 0, 0, 0, 0), "perf": (298, 0, 0, -1, -1, 0),
    "open_by_handle": (304, 0, 0, 0), "setns": (308, 0, 0), "read others' memory": (310, 1, 0, 0, 0, 0, 0),
    "write others' memory": (311, 1, 0, 0, 0, 0, 0), "memfd": (319, 0, 0), "bpf": (321, 0, 0, 0), "userfaultfd": (323, 0),
    "io_uring": (425, 8, 0), "open_tree": (428, -100, 0, 0), "fsopen": (430, 0, 0), "clone3": (435, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0),
}  # fmt: skip


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86_64")
def test_system_calls_that_are_refused(sandbox):
    source = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"for name, call in {CALLS}.items():\n"
        "    ctypes.set_errno(0)\n"
        "    if libc.syscall(*map(ctypes.c_long, call)) != -1 or ctypes.get_errno() not in (1, 38):\n"
        "        print(name, ctypes.get_errno())"
    )
    (outcome,) = ran(sandbox, ("student", source))
    assert errors(outcome) == []
    assert text(outcome) == ""


def test_nothing_stays_for_the_next(sandbox):
    places = own_places([sys.prefix, sys.base_prefix, sys.executable])
    ran(
        sandbox,
        (
            "student",
            f"for p in {places}: open(p + '/note', 'w').write('x')\nimport os\nos.environ['X'] = '1'",
        ),
    )
    look = f"import os\nprint([os.listdir(p) for p in {places}], os.environ.get('X'))"
    (outcome,) = ran(sandbox, ("student", look))
    assert text(outcome) == f"{[[] for _ in places]} None\n"


def test_texts_that_no_file_holds(sandbox):
    shown, raised, _ = ran(
        sandbox,
        ("student", "print('a\\ud800b')"),
        ("student", "raise ValueError('\\udfff')"),
        ("student", "pass"),
    )
    assert text(shown) == "a?b\n"
    assert errors(raised) == ["ValueError: ?"]


def test_a_death_at_every_turn_ends(sandbox):
    cells = [("student", "import os\nos._exit(0)")] * 12
    outcomes = ran(sandbox, *cells, limits=Limits(deaths=3))
    assert {name.partition(":")[0] for outcome in outcomes for name in errors(outcome)} == {
        "DeadKernelError",
        "NotExecuted",
    }


SUPERVISOR = """
from course_lib.grading.sandbox import Cell, Job, Sandbox
with Sandbox(["numpy"]) as sandbox:
    print(sandbox.process.pid, flush=True)
    sandbox.run(Job((Cell(1, "import ctypes\\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\\nwhile True: pass", "student"),)))
"""


def test_a_killed_grader_leaves_nothing_running():
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR], stdout=subprocess.PIPE, cwd=ROOT
    ) as grader:
        process = int(grader.stdout.readline())
        ends = time.monotonic() + 30
        while len(inside := descendants(process)) < 6 and time.monotonic() < ends:
            time.sleep(0.05)
        assert len(inside) >= 6  # two of bubblewrap and the warm one; two for each of two jails
        grader.send_signal(signal.SIGKILL)
    ends = time.monotonic() + 10
    while (left := alive(inside | {process})) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not left


def alive(processes):
    """Those of the processes that still run."""
    found = set()
    for process in processes:
        try:
            if "State:\tZ" not in Path(f"/proc/{process}/status").read_text():
                found.add(process)
        except OSError:
            continue
    return found

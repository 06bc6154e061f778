"""The jail of one process: its own namespaces, limits, no capabilities, no dangerous system calls.

Runs in a fresh, single-threaded fork of the zygote, inside bubblewrap. Sources: namespaces(7),
capabilities(7), seccomp(2), user_namespaces(7).
"""

import ctypes
import os
import resource
import signal
import sys

from course_lib.grading.sandbox.bubblewrap import own_places

__all__ = ["enter", "mount_proc", "own_proc_files", "system_call_filter"]

NEW_NAMESPACES = {  # flags of unshare(2) and clone(2)
    "mount": 0x20000,
    "uts": 0x4000000,
    "ipc": 0x8000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "network": 0x40000000,
}
NOSUID, NODEV, NOEXEC = 2, 4, 8  # mount(2)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP = 1, 4, 22
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
SECCOMP_MODE_FILTER = 2
NOBODY = 65534
FORBIDDEN = (
    *("socket", "bind", "listen", "accept", "accept4", "connect", "mount", "umount2", "pivot_root"),
    *("chroot", "unshare", "setns", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig"),
    *("fspick", "mount_setattr", "ptrace", "process_vm_readv", "process_vm_writev"),
    *("process_madvise", "kcmp", "pidfd_getfd", "keyctl", "add_key", "request_key", "bpf"),
    *("perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter"),
    *("io_uring_register", "fanotify_init", "open_by_handle_at"),
    *("name_to_handle_at", "quotactl", "acct", "swapon", "swapoff", "reboot", "kexec_load"),
    *("kexec_file_load", "init_module", "finit_module", "delete_module", "personality"),
    *("syslog", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "iopl"),
    *("ioperm", "vmsplice", "move_pages", "migrate_pages", "mbind", "set_mempolicy"),
    *("lookup_dcookie", "vhangup", "sethostname", "setdomainname"),
    *("memfd_create", "memfd_secret", "shmget"),  # memory that no limit of a process counts
)

libc = ctypes.CDLL(None, use_errno=True)


def system_call_filter():
    """Compile the filter of system calls, outside the sandbox, where libseccomp is.

    Returns
    -------
    bytes
        A program of the Berkeley packet filter, as seccomp(2) takes it.
    """
    import pyseccomp as seccomp

    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    refuse = seccomp.ERRNO(1)  # EPERM
    for name in FORBIDDEN:
        try:
            rules.add_rule(refuse, name)
        except (RuntimeError, OSError, ValueError):  # a call that this libseccomp does not know
            continue
    rules.add_rule(seccomp.ERRNO(38), "clone3")  # ENOSYS: its flags cannot be looked at
    for flag in NEW_NAMESPACES.values():
        rules.add_rule(refuse, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    TIOCSTI, TIOCLINUX = 0x5412, 0x541C
    for request in (TIOCSTI, TIOCLINUX):
        rules.add_rule(refuse, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, request))
    with os.fdopen(os.memfd_create("filter"), "w+b") as program:
        rules.export_bpf(program)
        program.seek(0)
        return program.read()


def enter(limits, program, keep):
    """Put this process into a jail; it returns in a new process, which is number 1 there.

    Parameters
    ----------
    limits : Limits
    program : bytes
        From :func:`system_call_filter`.
    keep : list of int
        Descriptors that the jailed process needs; the one that waits for it closes them. Who sends
        that one SIGTERM kills the jail: the jailed process cannot forbid it, as it can a death
        signal of prctl(2).

    Raises
    ------
    OSError
        If the kernel refuses a part of it: then nothing may be run.
    """
    user, group = os.getuid(), os.getgid()
    _call(libc.unshare(sum(NEW_NAMESPACES.values())), "unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{NOBODY} {user} 1")
    _write("/proc/self/gid_map", f"{NOBODY} {group} 1")
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    child = os.fork()
    if child:
        for descriptor in keep:
            os.close(descriptor)
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _mount_own_files(limits)
    _limit_resources(limits)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _drop_capabilities()
    _filter_system_calls(program)


def own_proc_files():
    """Let this process write its files below /proc, which a change of the user forbids it."""
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def _mount_own_files(limits):
    options = f"size={limits.disk_mb}m,nr_inodes=20000,mode=0777".encode()
    for place in own_places([sys.prefix, sys.base_prefix, sys.executable]):
        mounted = libc.mount(b"tmpfs", place.encode(), b"tmpfs", NOSUID | NODEV, options)
        _call(mounted, f"mount {place}")
    try:
        mount_proc()
    except OSError:  # masked, as in some containers: better none than that of others
        _call(libc.mount(b"tmpfs", b"/proc", b"tmpfs", NOEXEC, b"size=4k"), "mount /proc")
    os.chdir("/scratch")


def mount_proc():
    """Mount the /proc of this namespace of processes."""
    _call(libc.mount(b"proc", b"/proc", b"proc", NOSUID | NODEV | NOEXEC, None), "mount /proc")


def _limit_resources(limits):
    for name, value in {
        "DATA": _in_use("VmData") + (limits.memory_mb << 20),
        "AS": _in_use("VmSize") + (2 * limits.memory_mb << 20),  # shared memory is not in DATA
        "FSIZE": limits.disk_mb << 20,
        "NOFILE": 256,
        "CORE": 0,
        "NPROC": limits.processes,
        "STACK": 64 << 20,
        "MEMLOCK": 0,
        "MSGQUEUE": 0,
    }.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    try:
        _write("/proc/self/oom_score_adj", "1000")
    except OSError:  # no /proc of its own
        return


def _in_use(name):
    """Bytes that count against a limit already."""
    try:
        with open("/proc/self/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines[name].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        return 8 << 30


def _drop_capabilities():
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    version_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _call(libc.capset(version_3, (ctypes.c_uint32 * 6)()), "capset")


def _filter_system_calls(program):
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    compiled = Program(len(program) // 8, program)
    mode = SECCOMP_MODE_FILTER
    _call(libc.prctl(PR_SET_SECCOMP, mode, ctypes.byref(compiled), 0, 0), "seccomp")


def _call(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)

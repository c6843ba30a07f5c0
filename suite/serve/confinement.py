"""What the worker gives up before it opens a stranger's file, on Linux."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
import tempfile
from pathlib import Path

from datamodules.runtime import process_pool

DESCRIPTORS = 512
PROCESSES = 1024  # and threads, of the user 'nobody'
# socket, connect, bind, listen, execve, execveat, ptrace, process_vm_readv, process_vm_writev, kill, io_uring_setup,
# tkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal, pidfd_getfd; tgkill is how a process aborts itself
FORBIDDEN = {
    "x86_64": (0xC000003E, (41, 42, 49, 50, 59, 322, 101, 310, 311, 62, 425, 200, 129, 297, 424, 438)),
    "aarch64": (0xC00000B7, (198, 203, 200, 201, 221, 281, 117, 270, 271, 129, 425, 130, 138, 240, 424, 438)),
}
NO_NEW_PRIVILEGES, SET_FILTER, ALL_THREADS = 38, 1, 1  # PR_SET_NO_NEW_PRIVS, SECCOMP_SET_MODE_FILTER, ..._FLAG_TSYNC
SECCOMP = {"x86_64": 317, "aarch64": 277}


class Program(ctypes.Structure):
    """A filter of system calls, as the kernel takes it."""

    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def confine(memory_megabytes: float, file_megabytes: float) -> list[str]:
    """
    Returns:
        What could not be had, in words.
    """
    if sys.platform != "linux":
        return ["not on Linux: the worker has all rights of its user"]
    missing = []
    Path("/proc/self/oom_score_adj").write_text("1000")  # the system ends this process first
    limit_resources(memory_megabytes, file_megabytes)
    if os.geteuid() == 0 and (reason := lower_user(needed_files())) is not None:
        missing.append(reason)
    process_pool.die_with_parent()  # a change of user forgets it
    if (reason := forbid_calls()) is not None:
        missing.append(reason)
    return missing


def limit_resources(memory_megabytes: float, file_megabytes: float) -> None:
    import resource

    status = Path("/proc/self/status").read_text()
    used = int(status.split("VmData:")[1].split()[0]) * 1024
    # not RLIMIT_AS: torch and CUDA map many times what they use
    most = used + int(memory_megabytes * 2**20)
    limits = {
        resource.RLIMIT_DATA: most,
        resource.RLIMIT_FSIZE: int(file_megabytes * 2**20),
        resource.RLIMIT_NOFILE: DESCRIPTORS,
        resource.RLIMIT_CORE: 0,
    }
    if os.geteuid() == 0:
        limits[resource.RLIMIT_NPROC] = PROCESSES  # elsewhere it would count all that the user runs
    for name, most in limits.items():
        hard = resource.getrlimit(name)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(name, (most, most))


def find_nobody() -> tuple[int, int] | None:
    """User and group of who owns nothing."""
    import pwd

    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return None
    return nobody.pw_uid, nobody.pw_gid


def needed_files() -> list[Path]:
    """One of each place that is read from after the methods were loaded."""
    import av

    return [Path(__file__), Path(os.__file__), Path(av.__file__), Path(tempfile.gettempdir()) / "."]


def lower_user(needed: list[Path]) -> str | None:
    """Becomes 'nobody', if that user can read what is needed."""
    if (nobody := find_nobody()) is None:
        return "there is no user 'nobody': the worker stays root"
    user, group = nobody
    os.setegid(group)
    os.seteuid(user)
    try:
        unreadable = [path for path in needed if not os.access(path, os.R_OK, effective_ids=True)]
    finally:
        os.seteuid(0)
        os.setegid(0)
    if unreadable:
        return f"{unreadable[0]} is not readable for the user 'nobody': the worker stays root"
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    return None


def forbid_calls() -> str | None:
    """No new sockets, no other programs, no way into other processes: these calls fail with EPERM."""
    machine = platform.machine()
    if machine not in FORBIDDEN or ctypes.sizeof(ctypes.c_void_p) != 8:
        return f"no filter of system calls for {machine}: the worker can use the network"
    architecture, calls = FORBIDDEN[machine]
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    deny, allow = 0x00050000 | errno.EPERM, 0x7FFF0000
    n = len(calls)
    code = [(load, 0, 0, 4), (equal, 0, n + 3, architecture), (load, 0, 0, 0), (at_least, n + 1, 0, 0x40000000)]
    code += [(equal, n - i, 0, call) for i, call in enumerate(calls)] + [(give, 0, 0, allow), (give, 0, 0, deny)]
    content = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
    program = Program(len(code), ctypes.addressof(content))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.syscall(
        SECCOMP[machine], SET_FILTER, ALL_THREADS, ctypes.byref(program)
    ):
        return f"no filter of system calls ({os.strerror(ctypes.get_errno())}): the worker can use the network"
    return None

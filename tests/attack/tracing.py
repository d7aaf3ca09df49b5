"""Stop a process before each system call that changes a folder: inspect the folder, make the call fail, or kill.

A tracer in a few lines (ptrace(2), seccomp(2)): the kernel stops the process at these calls alone, so that a traced
command is hardly slower. Linux on x86-64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

SEIZE, INTERRUPT, CONT, GETREGS, SETREGS = 0x4206, 0x4207, 7, 12, 13
TRACE_FORK, TRACE_VFORK, TRACE_CLONE, TRACE_EXEC, TRACE_SECCOMP, EXIT_KILL = 2, 4, 8, 16, 128, 1 << 20
SECCOMP_STOP = 7
ANY_CHILD = 0x40000000  # __WALL: threads, too
SET_SECCOMP, NO_NEW_PRIVILEGES, FILTER = 22, 38, 2
AUDIT_X86_64 = 0xC000003E
ALLOW, HAND_OVER = 0x7FFF0000, 0x7FF00000

# Numbers of x86-64. The first argument is a descriptor, or the others describe paths.
BY_DESCRIPTOR = {1: "write", 18: "pwrite64", 20: "writev", 74: "fsync", 75: "fdatasync", 77: "ftruncate"}
BY_PATH = {82: "rename", 83: "mkdir", 86: "link", 87: "unlink", 84: "rmdir"}
BY_PATH_AT = {257: "openat", 258: "mkdirat", 263: "unlinkat", 264: "renameat", 265: "linkat", 316: "renameat2"}
OPENAT, CREATING = 257, os.O_CREAT | os.O_TRUNC
REMOVING = ("unlink", "unlinkat", "rmdir")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class _Registers(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_ulonglong)
        for name in (
            *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
            *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
        )
    ]


@dataclass(frozen=True)
class Call:
    """A pending system call.

    Attributes
    ----------
    number
        From 1, among those that change something in the watched folder.
    name
        As in the manual.
    path
        The path it changes.
    """

    number: int
    name: str
    path: str


Answer = int | None
"""The fate of a call: None: it is made; above 0: it fails with this error number; `KILL`: the process is killed."""
KILL = -1


def supported() -> bool:
    """Whether the tracer supports this machine."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def hand_over_writes() -> None:
    """In the traced process, once its tracer is attached: from now on, stop before calls that change files."""
    accepted = sorted({*BY_DESCRIPTOR, *BY_PATH, *BY_PATH_AT} - {OPENAT})
    # struct sock_filter: code, jump if true, jump if false, operand.
    load, equal, test, done = 0x20, 0x15, 0x45, 0x06
    program = [
        (load, 0, 0, 4),  # the architecture
        (equal, 1, 0, AUDIT_X86_64),
        (done, 0, 0, ALLOW),
        (load, 0, 0, 0),  # the number of the call
        (equal, 0, 2, OPENAT),
        (load, 0, 0, 16 + 2 * 8),  # the flags
        (test, len(accepted) + 1, len(accepted), CREATING),
        *((equal, len(accepted) - place, 0, number) for place, number in enumerate(accepted)),
        (done, 0, 0, ALLOW),
        (done, 0, 0, HAND_OVER),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    if _libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or _libc.prctl(SET_SECCOMP, FILTER, header, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp was refused")


class Tracer:
    """Follows a process, its threads and its children.

    Parameters
    ----------
    pid
        A process that has not called `hand_over_writes` yet.
    watched
        Only calls that change something at or below this folder count.
    answer
        Called before each of them, while all threads are stopped.
    """

    def __init__(self, pid: int, watched: str, answer: Callable[[Call], Answer]) -> None:
        self._watched = watched
        self._answer = answer
        self._number = 0
        self._tracees = {pid}
        self._waiting: deque[tuple[int, int]] = deque()
        options = TRACE_FORK | TRACE_VFORK | TRACE_CLONE | TRACE_EXEC | TRACE_SECCOMP | EXIT_KILL
        self._request(SEIZE, pid, options)

    @property
    def calls(self) -> int:
        """Number of calls so far."""
        return self._number

    def follow(self, seconds: int) -> None:
        """Run until the process and all its descendants have ended.

        Raises
        ------
        TimeoutError
            They have not, and are killed.
        """

        def too_long(_signal: int, _frame: FrameType | None) -> None:
            raise TimeoutError(f"not finished after {seconds} s")

        before = signal.signal(signal.SIGALRM, too_long)
        signal.alarm(seconds)
        try:
            while self._tracees:
                tid, status = self._waiting.popleft() if self._waiting else os.waitpid(-1, ANY_CHILD)
                self._handle(tid, status)
        except TimeoutError:
            self._kill()
            raise
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)

    def _handle(self, tid: int, status: int) -> None:
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            self._tracees.discard(tid)
            return
        self._tracees.add(tid)
        event, received = status >> 16, os.WSTOPSIG(status)
        if event == SECCOMP_STOP:
            self._meet(tid)
        self._request(CONT, tid, 0 if event else received, gone=True)

    def _meet(self, tid: int) -> None:
        registers = _Registers()
        if not self._request(GETREGS, tid, ctypes.addressof(registers), gone=True):
            return
        found = self._describe(tid, registers)
        if found is None:
            return
        self._number += 1
        interrupted = self._halt_others(tid)
        answer = self._answer(Call(self._number, *found))
        if answer == KILL:
            self._kill()
        elif answer is not None:
            registers.orig_rax = ctypes.c_ulonglong(-1).value
            registers.rax = ctypes.c_ulonglong(-answer).value
            self._request(SETREGS, tid, ctypes.addressof(registers), gone=True)
        for other in interrupted:
            self._request(CONT, other, 0, gone=True)

    def _halt_others(self, tid: int) -> list[int]:
        halted = {other for other, _ in self._waiting}
        interrupted = []
        for other in self._tracees - halted - {tid}:
            if not self._request(INTERRUPT, other, 0, gone=True):
                continue
            _, status = os.waitpid(other, ANY_CHILD)
            if os.WIFSTOPPED(status) and status >> 16 == 128:
                interrupted.append(other)
            else:
                self._waiting.append((other, status))
        return interrupted

    def _describe(self, tid: int, registers: _Registers) -> tuple[str, str] | None:
        """Name of the call and the path it changes; None if it is not in the watched folder."""
        number = registers.orig_rax
        try:
            if number in BY_DESCRIPTOR:
                path = os.readlink(f"/proc/{tid}/fd/{registers.rdi}")
            else:
                path = self._path(tid, registers.rdi if number in BY_PATH else registers.rsi)
        except OSError:
            return None
        names = BY_DESCRIPTOR | BY_PATH | BY_PATH_AT
        return (names[number], path) if path.startswith(self._watched) else None

    @staticmethod
    def _path(tid: int, address: int) -> str:
        with open(f"/proc/{tid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            text = memory.read(4096).split(b"\0")[0]
        path = os.fsdecode(text)
        return path if os.path.isabs(path) else os.path.join(os.readlink(f"/proc/{tid}/cwd"), path)

    def _kill(self) -> None:
        for tid in self._tracees:
            try:
                os.kill(tid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    @staticmethod
    def _request(request: int, tid: int, data: int, gone: bool = False) -> bool:
        if _libc.ptrace(request, tid, None, data) == -1:
            code = ctypes.get_errno()
            if gone and code == errno.ESRCH:  # killed meanwhile
                return False
            raise OSError(code, f"ptrace request {request:#x} was refused")
        return True

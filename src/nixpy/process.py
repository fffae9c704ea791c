"""The only module that starts programs.

A program gets a full argument vector, a working directory and its complete environment; never a
shell, never our stdin. What it said is shown with its command and status, never with its
environment, which holds tokens.
"""

from __future__ import annotations

import os

from nixpy.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO, Protocol
else:
    Protocol = object  # typing is not to be had for the price of a start

__all__ = [
    "Completed",
    "Followed",
    "Runner",
    "SystemRunner",
    "detach",
    "find_program",
    "has_terminal",
]

CHUNK = 65536
GRACE = 5.0
"""Seconds that an interrupted program has to end by itself."""

SHORT_GRACE = 0.5
"""Seconds that those have whom a program left behind."""

TICK = 0.1
"""Seconds between two looks at whether a program that prints nothing still runs."""


class Completed(NamedTuple):
    """What a program did: its exit status (negative: the signal that ended it) and its output."""

    status: int
    stdout: str
    stderr: str


class Followed(NamedTuple):
    """What a program did that was followed.

    Attributes:
        status: its exit status; negative: the signal that ended it.
        stdout: what it printed there.
        timed_out: whether it was ended because it took too long.
        left_behind: whether processes of its own session outlived it; they were ended.
    """

    status: int
    stdout: bytes
    timed_out: bool
    left_behind: bool


class Runner(Protocol):
    """Starts programs."""

    def capture(
        self, argv: Sequence[str], *, cwd: str, environ: Mapping[str, str], timeout: float = 60.0
    ) -> Completed:
        """Run a program to its end and return what it printed.

        Args:
            argv: program and arguments.
            cwd: working directory.
            environ: the complete environment.
            timeout: seconds; a program that takes longer is killed, status -9.

        Raises:
            OSError: it cannot be started.
        """

    def ask(self, argv: Sequence[str], *, environ: Mapping[str, str]) -> Completed:
        """Run a program, by its path, that answers at once; what it prints on stderr is lost.

        For the path that must start fast: importing :mod:`subprocess` costs more than the answer.

        Raises:
            OSError: it cannot be started.
        """

    def show(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        environ: Mapping[str, str],
        log: BinaryIO,
        keep_open: Sequence[int] = (),
    ) -> int:
        """Run a program, let its output reach the user's terminal and ``log``; return its status.

        With no terminal on stderr the output goes to ``log`` alone. ``keep_open`` are descriptors
        that the program inherits: a lock on one of them lasts as long as it runs.

        Raises:
            OSError: it cannot be started.
        """

    def follow(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        environ: Mapping[str, str],
        heard: Callable[[bytes], None],
        timeout: float | None = None,
        keep_open: Sequence[int] = (),
    ) -> Followed:
        """Run a program in a session of its own, without a terminal, and hear its stderr.

        It ends when the program itself does, whoever still holds its output.

        Args:
            argv: program and arguments.
            cwd: working directory.
            environ: the complete environment.
            heard: called with each piece of stderr as it comes, and with nothing (``b""``) about
                ten times a second while there is none.
            timeout: seconds; then its whole session is asked to end, and killed if it does not.
            keep_open: descriptors that it inherits.

        Raises:
            OSError: it cannot be started.
        """


class SystemRunner:
    """Starts real programs."""

    def capture(
        self, argv: Sequence[str], *, cwd: str, environ: Mapping[str, str], timeout: float = 60.0
    ) -> Completed:
        """See :meth:`Runner.capture`."""
        import subprocess

        try:
            done = subprocess.run(
                argv,
                cwd=cwd,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            text = os.fsdecode(late.stderr or b"")
            return Completed(-9, "", f"{text}\nkilled after {timeout:g} s")
        return Completed(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))

    def ask(self, argv: Sequence[str], *, environ: Mapping[str, str]) -> Completed:
        """See :meth:`Runner.ask`."""
        reading, writing = os.pipe()
        with open(reading, "rb") as answer:
            try:
                files = [
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, writing, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ]
                child = os.posix_spawn(argv[0], [*argv], environ, file_actions=files)
            finally:
                os.close(writing)
            said = answer.read()
        _, status = os.waitpid(child, 0)
        return Completed(os.waitstatus_to_exitcode(status), os.fsdecode(said), "")

    def show(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        environ: Mapping[str, str],
        log: BinaryIO,
        keep_open: Sequence[int] = (),
    ) -> int:
        """See :meth:`Runner.show`."""
        import subprocess

        terminal = 2 if has_terminal() else None
        if terminal is None:
            reading, writing = os.pipe()
        else:
            # A terminal of its own, of the same size: progress bars and colours as ever, and the
            # log has them too.
            reading, writing = os.openpty()
            _copy_window_size(terminal, writing)
        try:
            child = subprocess.Popen(
                argv,
                cwd=cwd,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                pass_fds=tuple(keep_open),
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        try:
            _copy_output(reading, log, terminal)
            return child.wait()
        except BaseException:
            # Ctrl-C reaches the child too; it has a while to leave things in order.
            try:
                child.wait(GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            raise
        finally:
            os.close(reading)

    def follow(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        environ: Mapping[str, str],
        heard: Callable[[bytes], None],
        timeout: float | None = None,
        keep_open: Sequence[int] = (),
    ) -> Followed:
        """See :meth:`Runner.follow`."""
        import subprocess

        child = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=tuple(keep_open),
            start_new_session=True,
        )
        assert child.stdout is not None
        assert child.stderr is not None
        with child.stdout as out, child.stderr as err:
            said: list[bytes] = []
            try:
                timed_out = _listen(
                    child, {out.fileno(): said.append, err.fileno(): heard}, timeout
                )
            finally:
                left_behind = _end_session(child)
                child.wait()
            _drain({out.fileno(): said.append, err.fileno(): heard})
        return Followed(child.returncode, b"".join(said), timed_out, left_behind)


def detach(argv: Sequence[str], *, cwd: str, environ: Mapping[str, str], log: int) -> int:
    """Start a program that outlives us, and return its process.

    It has a session of its own, so that no terminal ends it, and none of our descriptors, so that
    nobody who reads from us waits for it: direnv reads until the last writer is gone. What it
    prints goes to the descriptor ``log``. While we live it is our child, to be waited for.

    Raises:
        OSError: it cannot be started.
    """
    import subprocess

    child = subprocess.Popen(
        argv,
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    child.returncode = 0  # else it would be complained about, as one that nobody waited for
    return child.pid


def find_program(name: str, path: str, without: str = "") -> str | None:
    """Return the first executable file ``name`` on a search path.

    Directories below ``without`` do not count, nor do empty elements, which mean the current
    directory.
    """
    below = without.rstrip("/") + "/"
    for directory in path.split(os.pathsep):
        if not directory.startswith("/") or (without and (directory + "/").startswith(below)):
            continue
        candidate = f"{directory}/{name}"
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return None


def has_terminal() -> bool:
    """Return whether what is printed on stderr reaches a person's terminal."""
    return os.isatty(2)


def _copy_window_size(source: int, target: int) -> None:
    import fcntl
    import termios

    try:
        size = fcntl.ioctl(source, termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(target, termios.TIOCSWINSZ, size)
    except OSError:
        pass


def _copy_output(reading: int, log: BinaryIO, terminal: int | None) -> None:
    while True:
        try:
            chunk = os.read(reading, CHUNK)
        except OSError:
            # A pseudo-terminal whose other end is closed answers EIO (pty(7)).
            return
        if not chunk:
            return
        log.write(chunk)
        if terminal is not None:
            # The caller's terminal turns newlines into what it needs by itself.
            os.write(terminal, chunk.replace(b"\r\n", b"\n"))


def _listen(
    child: subprocess.Popen[bytes],
    hearers: Mapping[int, Callable[[bytes], None]],
    timeout: float | None,
) -> bool:
    """Hand over what a child prints until it ends; return whether it took too long."""
    import selectors
    import time

    deadline = None if timeout is None else time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for descriptor in hearers:
            selector.register(descriptor, selectors.EVENT_READ)
        while child.poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                return True
            if not selector.get_map():
                time.sleep(TICK)
            events = selector.select(TICK) if selector.get_map() else []
            for key, _ in events:
                chunk = os.read(key.fd, CHUNK)
                if chunk:
                    hearers[key.fd](chunk)
                else:
                    selector.unregister(key.fd)
            if not events:
                for heard in hearers.values():
                    heard(b"")
    return False


def _drain(hearers: Mapping[int, Callable[[bytes], None]]) -> None:
    """Hand over what is left in pipes that somebody may still hold."""
    for descriptor, heard in hearers.items():
        os.set_blocking(descriptor, False)
        try:
            while chunk := os.read(descriptor, CHUNK):
                heard(chunk)
        except BlockingIOError:
            pass


def _end_session(child: subprocess.Popen[bytes]) -> bool:
    """End all that runs in a child's session; return whether some of it outlived the child."""
    import signal
    import time

    outlived = child.poll() is not None
    if not _signal_group(child.pid, signal.SIGTERM):
        return False
    deadline = time.monotonic() + (SHORT_GRACE if outlived else GRACE)
    while _signal_group(child.pid, 0) and time.monotonic() < deadline:
        child.poll()
        time.sleep(0.02)
    _signal_group(child.pid, signal.SIGKILL)
    return outlived


def _signal_group(group: int, number: int) -> bool:
    """Signal a process group; return whether there is one."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True

"""A terminal to run commands on."""
from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import chainrule

COMMAND = [sys.executable, "-m", "chainrule"]


def with_ctrl_c():
    """Before a command starts: Ctrl-C works, even if these tests run in the background, where it would be ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def on_a_terminal(command, columns=100, stream="stderr", interrupt_at=None):
    """Run a command, one of whose streams is a terminal; return its exit code, what that got, and the other's text.

    Once `interrupt_at` has been shown, Ctrl-C is pressed.
    """
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    package = str(Path(chainrule.__file__).parents[1])
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: theirs}
    with subprocess.Popen(list(map(str, command)), **streams, stdin=theirs, text=True, preexec_fn=with_ctrl_c,
                          env=inherited | {"TERM": "xterm-256color", "PYTHONPATH": package}) as process:
        os.close(theirs)
        try:
            sent = b""
            while select.select([ours], [], [], 60)[0]:
                try:
                    chunk = os.read(ours, 65536)
                except OSError:                          # Linux's way to say that the other end was closed
                    break
                if not chunk:
                    break
                sent += chunk
                if interrupt_at is not None and interrupt_at in sent:
                    process.send_signal(signal.SIGINT)
                    interrupt_at = None
            os.close(ours)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()                               # it has ended, or hangs
    return process.returncode, sent.decode(), err if stream == "stdout" else out


def without_colours(sent):
    """Leave out what moves the cursor and colours the text."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent)

"""Becomes the command it is given, which the kernel then ends together with its parent.

usage: python tied.py PARENT_PID COMMAND…
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # Linux; kept across exec

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == int(sys.argv[1]):  # else it died before we asked
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # no shell is the point

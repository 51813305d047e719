#!/usr/bin/env python3
"""How near to the ideal the chat client comes: REQUESTS against a local service that answers each after half a second, IN_FLIGHT at a time.

usage: throughput.py TINYSTORIES [REQUESTS [IN_FLIGHT]]      (10000 and 256; compiles slow_server.c with cc)

Prints the share of the ideal rate, the share of a core that the client used, and its peak memory. Where the machine is busy with other work, so is the client:
the share of a core counts its own time alone.
"""
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MILLISECONDS = 500


def main():
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    tool, requests, in_flight = os.path.abspath(sys.argv[1]), int((sys.argv[2:] or ["10000"])[0]), int((sys.argv[3:] or ["256"])[0])
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["cc", "-O2", "-o", f"{folder}/slow_server", str(HERE / "slow_server.c")], check=True)
        server = subprocess.Popen([f"{folder}/slow_server", str(MILLISECONDS), str(in_flight)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        port = int(server.stdout.readline())
        began = time.monotonic()
        client = subprocess.Popen([tool, "dataset", "generate", "--author", "chat", "--base-url", f"http://127.0.0.1:{port}", "--model", "m", "--count",
                                   str(requests), "--journal", f"{folder}/journal", "--out", f"{folder}/stories.txt", "--in-flight", str(in_flight), "--quiet",
                                   "--keep-unfit", "words", "language"],
                                  stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(client.pid, 0)
        seconds = time.monotonic() - began
        server.stdin.close()
        said = server.stdout.read().decode().strip()
        ideal = math.ceil(requests / in_flight) * MILLISECONDS / 1000
        print(f"status {status}; server: {said}; {seconds:.2f} s, ideal {ideal:.2f} s: {100 * ideal / seconds:.1f} % of the ideal rate; "
              f"client {used.ru_utime:.2f} s user and {used.ru_stime:.2f} s system: {100 * (used.ru_utime + used.ru_stime) / seconds:.1f} % of a core; "
              f"peak memory {used.ru_maxrss / 1024:.1f} MB; journal {os.path.getsize(f'{folder}/journal') / 1e6:.1f} MB")
        return status != 0


if __name__ == "__main__":
    sys.exit(main())

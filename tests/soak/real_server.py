#!/usr/bin/env python3
"""Stories by a real server: llama.cpp's, on this machine, with a model that was trained here. Killed with SIGKILL and resumed once.

usage: real_server.py TINYSTORIES MODEL.gguf SERVER [STORIES]

TINYSTORIES is the command-line tool; SERVER is llama.cpp's llama-server, or a Python that has llama_cpp.server. Prints what came of it; exit status 1 if a story is
lost, there twice, or was asked for again although it had a reply.
"""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def start_server(server, model, log):
    port = free_port()
    here = ["--host", "127.0.0.1", "--port", str(port)]
    if "python" in os.path.basename(server):
        command = [server, "-m", "llama_cpp.server", "--model", model, "--n_ctx", "512", *here]
    else:
        command = [server, "--model", model, "--ctx-size", "2048", "--parallel", "4", *here]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=2) as reply:
                return process, port, json.load(reply)["data"][0]["id"]
        except OSError:
            if process.poll() is not None:
                sys.exit("the server ended; see its log")
            time.sleep(0.2)
    sys.exit("the server does not come up")


def results(journal):
    """The jobs that have a result in the journal."""
    lines = journal.read_bytes().splitlines() if journal.exists() else []
    return [json.loads(line)["job"] for line in lines if line.startswith(b'{"event":"result"') and line.endswith(b'"}')]


def main():
    if not 4 <= len(sys.argv) <= 5:
        sys.exit(__doc__)
    tool, model, server = (os.path.abspath(path) for path in sys.argv[1:4])
    stories = int(sys.argv[4]) if len(sys.argv) > 4 else 200
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        process = None
        try:
            with open(folder / "server.log", "wb") as log:
                process, port, called = start_server(server, model, log)
            command = [tool, "dataset", "generate", "--author", "chat", "--base-url", f"http://127.0.0.1:{port}/v1", "--model", called, "--journal",
                       str(folder / "journal"), "--count", str(stories), "--seed", "1", "--out", str(folder / "stories.jsonl"), "--in-flight", "4", "--old-names",
                       "--reply-tokens", "220", "--temperature", "0.8", "--json", "--quiet", "--keep-unfit", "words", "language"]
            began = time.monotonic()
            first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            while first.poll() is None and len(results(folder / "journal")) < stories // 3:
                time.sleep(0.02)
            first.send_signal(signal.SIGKILL)
            first.wait()
            before = results(folder / "journal")
            second = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
            print(f"killed after {len(before)} replies (status {first.returncode}); then: {second.stdout.strip() or second.stderr.strip()}")
            if second.returncode != 0:
                sys.exit((folder / "server.log").read_text()[-2000:])
            after = results(folder / "journal")
            records = [json.loads(line) for line in (folder / "stories.jsonl").read_text().splitlines()]
            indices = [record["index"] for record in records]
            print(f"{len(records)} stories in {time.monotonic() - began:.1f} s, {sum(len(record['story']) for record in records)} bytes; replies {len(after)}, "
                  f"distinct {len(set(after))}; first story: {records[0]['story'][:300]!r}")
            good = len(records) == stories and indices == sorted(set(indices)) and len(after) == len(set(after)) and after[:len(before)] == before
            sys.exit(0 if good else "a story is lost or there twice")
        finally:
            if process is not None:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()

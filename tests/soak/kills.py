#!/usr/bin/env python3
"""A generator that is killed with SIGKILL at random moments, a thousand times over two thousand stories, against a service that bills.

usage: kills.py TINYSTORIES [KILLS [STORIES]]      (1000 and 2000; about two minutes for each kind of service)

Once against a service that honours the Idempotency-Key and once against one that does not. Nothing may be lost or there twice; the first bills each story once,
the second at most what was in flight at a kill again, and the report tells so. The key must be found nowhere. Exit status 1 if any of that is wrong.
"""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))
from local_chat import Server  # noqa: E402

KEY = "SENTINEL-9f3a7c21d0b84e65"
SECRETS = [secret.encode() for secret in (KEY, KEY[:12], KEY[-12:], "Bearer S", "U0VOVElORUwt")]
IN_FLIGHT = 4


def count_results(journal):
    return journal.read_bytes().count(b'{"event":"result"') if journal.exists() else 0


def kill_often(tool, server, kills, stories, honours):
    """Gives what went wrong, as lines."""
    dice, killed, ledger = random.Random(7), 0, f"soak{honours}"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        journal, errors = folder / "journal", folder / "errors"
        url = server.url(ledger=ledger, honour=honours, delay=0.004, faults="503,ok,429,ok,ok")
        command = [tool, "dataset", "generate", "--author", "chat", "--base-url", url, "--model", "m", "--seed", "3", "--count", str(stories), "--journal",
                   str(journal), "--out", str(folder / "stories.jsonl"), "--in-flight", str(IN_FLIGHT), "--quiet", "--json"]
        environment = {**os.environ, "TINYSTORIES_API_KEY": KEY}
        while killed < kills:
            with open(errors, "ab") as said:
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=environment)
            ahead = count_results(journal) / stories > killed / kills  # so that the stories last as long as the kills
            time.sleep(dice.random() * (0.012 if ahead else 0.06))
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += process.returncode == -signal.SIGKILL
            if process.returncode == 0:
                return [f"finished after {killed} kills, before all of them were done"]
        last = subprocess.run(command, capture_output=True, env=environment, check=False)
        bill = server.ledger(ledger)
        if last.returncode != 0:
            return [last.stderr.decode()]
        told = json.loads(last.stdout)["journal"]
        records = [json.loads(line) for line in (folder / "stories.jsonl").read_text().splitlines()]
        excess = bill["billed"] - bill["distinct"]
        leaks = sum(secret in path.read_bytes() for path in folder.rglob("*") if path.is_file() for secret in SECRETS) + sum(
            secret in last.stdout + last.stderr for secret in SECRETS)
        print(f"honours={honours}: {killed} kills, {len(records)} stories, {bill['requests']} requests, billed {bill['billed']}, distinct {bill['distinct']}, "
              f"excess {excess}, possibly paid twice {told['possibly_paid_twice']}, unknown {told['unknown']}, key found {leaks} times")
        wrong = {
            "stories are lost or there twice": [record["index"] for record in records] != list(range(stories)),
            "replies are there twice": count_results(journal) != stories,
            "the service billed others than the stories": bill["distinct"] != stories,
            "a story was billed twice": honours == 1 and excess != 0,
            "more was billed twice than was in flight": excess > killed * IN_FLIGHT,
            "what was billed twice is not told": bill["twice"] > told["possibly_paid_twice"],
            "something is unknown": told["unknown"] != 0,
            "the key is somewhere": leaks != 0,
        }
        return [what for what, true in wrong.items() if true]


def main():
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    kills, stories = (int(value) for value in (sys.argv[2:] + ["1000", "2000"][len(sys.argv) - 2:]))
    server = Server()
    try:
        wrong = [f"honours={honours}: {line}" for honours in (1, 0) for line in kill_often(os.path.abspath(sys.argv[1]), server, kills, stories, honours)]
    finally:
        server.close()
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()

"""The chat service of chat_server.py as a child of the test."""
import json
import pathlib
import subprocess
import sys
import urllib.request


class Server:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, str(pathlib.Path(__file__).parent / "chat_server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def url(self, **settings):
        return f"http://127.0.0.1:{self.port}/" + ";".join(f"{name}={value}" for name, value in settings.items())

    def ledger(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ledger/{name}") as reply:
            return json.load(reply)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

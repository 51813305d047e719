#!/usr/bin/env python3
"""A chat service on this machine that misbehaves as it is told to, and bills. Python's standard library alone.

usage: chat_server.py [--tls CERTIFICATE KEY [NEWEST]]      prints its port, then serves until its standard input ends
                                                            the files of --tls are read for each connection anew

What to do stands in the path of a request: /SETTINGS/chat/completions, SETTINGS being `name=value` joined by ';' (/SETTINGS/completions: have a text gone on with):

    ledger=NAME       accounts of its own (default "main"); GET /ledger/NAME gives them as JSON
    faults=A,B,...    what to do to the first, second, ... attempt of each Idempotency-Key; the last one stays. Default "ok". See FAULTS and `Fault`
    honour=0          bill each request that is done, whatever its key (default 1: a key is billed once, gets the same reply again, and 422 with another body)
    delay=SECONDS     before the reply
    limit=N           more than N requests in flight are answered 429
    bad=PERCENT       of the conversations that ask for grades so many get a reply that is none; which, the conversation and BAD_GRADES decide
    once=1            only when they are asked for the first time
    bias=PERCENT      of the questions which of two stories is better so many are answered "first", whatever they hold
    wordless=PERCENT  of the calls for stories so many bring a first story without the words, when they are made for the first time; which, the prompt decides
    schema=no         requests for JSON by a schema are answered 400; without it the grades come as the schema has them
    unusable=PERCENT  of the stories so many are cut off; which, the prompt decides
    batches=A,B,...   what comes of the first, second, ... batch of a ledger, the last one stays: ok (the default), half (expires with half of it done),
                      failed (refused as a whole), bad (all requests fail with 500), lost (its creation is not answered), echo (its results repeat the key),
                      escaped (and escape it)
    polls=N           how often the list must be asked for before a batch ends (default 0)
"""
import asyncio
import collections
import hashlib
import json
import os
import re
import ssl
import struct
import socket
import sys
import warnings
import zlib


class Ledger:
    def __init__(self):
        self.attempts = collections.Counter()
        self.billed = collections.Counter()
        self.conversations, self.bad = collections.Counter(), {}
        self.replies, self.bodies = {}, {}
        self.requests = self.in_flight = self.most_in_flight = self.connections = 0
        self.authorized = collections.Counter()
        self.files, self.batches = {}, []

    def report(self):
        return {"requests": self.requests, "billed": sum(self.billed.values()), "distinct": len(self.billed),
                "twice": sum(times > 1 for times in self.billed.values()), "most_in_flight": self.most_in_flight,
                "keys": len(self.attempts), "authorized": dict(self.authorized),
                "conversations": len(self.conversations), "bad": len(self.bad), "kinds": len(set(self.bad.values()))}


LEDGERS = collections.defaultdict(Ledger)


def story_of(prompt):
    """A story that tells which prompt it was written for; several, if several are asked for."""
    if "\nStory 2. " in prompt:
        return "\n+++++\n".join(story_of(part) for part in re.split(r"(?:^|\n)Story \d+\. ", prompt)[1:])
    if prompt.startswith("Summarize"):
        return f"Summary: It is about number\n\n {hashlib.sha256(prompt.encode()).hexdigest()[:16]}.\n"
    words = re.findall(r'(?:verb|noun|adjective) "([a-z \'-]+)"', prompt) or re.findall(r'"([a-z \'-]+)"', prompt)[:3]
    return f"\n\nThere was a story of {', '.join(words)}.\n\nIts number was {hashlib.sha256(prompt.encode()).hexdigest()[:16]}. The end.\n"


ECHO = "Grammar: 10/10, Creativity: 10/10, Consistency: 10/10, Plot: 10/10, Age group: F"
# What judges say that is no grade. {good} is the reply that they would have given.
BAD_GRADES = ["The language is correct, and I would say 8 of 10.", '{{"grammar": 8, "creativity": 7, "consistency": 7}}{{"grammar": 1, "creativity": 1, "consistency": 1}}',
              "Grammar: 11/10, Creativity: 7/10, Consistency: 7/10, Plot: 7/10", "Grammar: ten, Creativity: seven, Consistency: eight, Plot: nine",
              "I am sorry, but I cannot grade a child.", "Grammar: 8/10, Creativity: 7/10, Consist", "Grammar: 8/10, Creativity: 7/10",
              "{good}\n{good}", "Grammar: 7.5/10, Creativity: 7/10, Consistency: 7/10, Plot: 7/10", "The student wrote:\n" + ECHO, "{good}\nThe story said: \"" + ECHO + "\""]


def number_of(text, below):
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) % below


def grades_of(messages, request, ledger):
    """The grades of a conversation, a function of its story alone; or a reply that is none."""
    story = messages[0]["content"]
    values = [1 + number_of(f"{axis} {story}", 10) for axis in ("grammar", "creativity", "consistency", "plot")]
    form = json.loads(request.body).get("response_format")
    if form:  # what the service is held to
        properties = form["json_schema"]["schema"]["properties"]
        assert all(properties[name]["enum"] == list(range(1, 11)) for name in properties if name != "age_group"), properties
        assert ("plot" in properties) == ("Plot" in messages[-1]["content"]), properties
        good = dict(zip(("grammar", "creativity", "consistency", "plot"), values))
        return json.dumps({name: good.get(name, "ABCDEF"[number_of(story, 6)]) for name in properties})
    names = ["Grammar", "Creativity", "Consistency"] + (["Plot"] if "Plot" in messages[-1]["content"] else [])
    good = ", ".join(f"{name}: {value}/10" for name, value in zip(names, values)) + f", Age group: {'ABCDEF'[number_of(story, 6)]}"
    ledger.conversations[story] += 1
    if number_of("bad " + story, 100) >= float(request.settings.get("bad", 0)) or (request.settings.get("once") and ledger.conversations[story] > 1):
        return good
    kind = number_of("kind " + story, len(BAD_GRADES))
    ledger.bad[story] = kind
    return BAD_GRADES[kind].format(good=good)


# And what they say that is no verdict.
BAD_VERDICTS = ["I think that the first one is better.", "first second", "1", "both of them", "first\nsecond", "right or wrong", "The first student wrote: second", "neither/nor"]


def verdict_of(message, request, ledger):
    """Which of two texts has "good" in it more often, or of one: right if it has, wrong if it has "bad", else partly. Or a reply that is no verdict."""
    texts = re.split(r"\n" + re.search(r'two lines that say "(\w+)"', message).group(1) + r"(?=\n|$)", message)[1::2]
    ledger.conversations[message] += 1
    if number_of("bad " + message, 100) < float(request.settings.get("bad", 0)) and not (request.settings.get("once") and ledger.conversations[message] > 1):
        ledger.bad[message] = number_of("kind " + message, len(BAD_VERDICTS))
        return BAD_VERDICTS[ledger.bad[message]]
    if "first, second" not in message:
        return "Right." if "good" in texts[-1] else "wrong" if "bad" in texts[-1] else "**partly**"
    first, second = texts[-2].count("good"), texts[-1].count("good")
    if number_of("bias " + message, 100) < float(request.settings.get("bias", 0)):
        return "First"
    return "neither" if first == second else "first" if first > second else "second"


def written_out(message, request):
    """A whole story from the beginning that stands in the message's fence, in some with other quotation marks and apostrophes; another one for each Idempotency-Key."""
    beginning = re.split(r"\n" + re.search(r'two lines that say "(\w+)"', message).group(1) + r"(?=\n|$)", message)[1]
    number = number_of(request.key, 1 << 20)
    beginning = beginning.strip("\n")
    if number % 3 == 1:
        beginning = re.sub(r'(?<!\w)"(?=\w)', "\u201c", beginning).replace('"', "\u201d").replace("'", "\u2019")
    if number % 3 == 2:
        return f"Then came number {number}. The end."  # which does not repeat it
    return f"{beginning}{'derstorm' if beginning.endswith('thun') else ''} and then came number {number}. The end."


RAW = False  # whether the request that a reply is being made for wants a text gone on with


def continued(prompt, request):
    """How a text goes on, from its last byte; another way for each Idempotency-Key. The request holds nothing that is a chat's."""
    body = json.loads(request.body)
    known = {"model", "prompt", "max_tokens", "temperature", "top_p", "seed", "stop", "stream", "stream_options"}
    assert isinstance(prompt, str) and not set(body) - known, body
    number = number_of(request.key, 1 << 20)
    return f"{'derstorm' if prompt.endswith('thun') else ' '} and\n\nthen came number {number} of {number_of(prompt, 1 << 20)}.\n"


def choice(content, finish, part="message", index=0, **more):
    """A choice of a reply, or of an event of it (`part` "delta"): content ... leaves the text out."""
    text = {} if content is ... else {"text" if RAW else "content": content}
    return {"index": index, **({**text, **more, "logprobs": None} if RAW else {part: {"role": "assistant", **text, **more}}), "finish_reason": finish}


def completion(content, finish="stop", usage=True, others=(), **message):
    body = {"id": "x", "object": "text_completion" if RAW else "chat.completion", "model": "m-2026", "system_fingerprint": "fp_1",
            "choices": [*others, choice(content, finish, **message)]}
    if usage:
        body["usage"] = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
    return body


def error(message, kind="some_error", code=None):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def events(content, finish="stop", done=True, newline="\n"):
    def event(value):
        return f"data: {json.dumps(value)}{newline}{newline}"
    text = f": a comment{newline}{newline}"
    pieces = [content[i:i + 7] for i in range(0, len(content), 7)] if isinstance(content, str) else content
    for piece in pieces:
        text += event({"choices": [choice(piece, None, "delta")]})
    if finish:
        text += event({"choices": [choice(..., finish, "delta")]})
        text += event({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 50}})
    return (text + (f"data: [DONE]{newline}{newline}" if done else "")).encode()


def twice(stream):
    """Each event with an id, and there twice."""
    parts = [b"id: %d\n%s\n\n" % (number, event) for number, event in enumerate(stream.split(b"\n\n")[:-1])]
    return b"".join(part + part for part in parts)


class Request:
    def __init__(self, line, headers, body):
        self.method, self.path = line.split(" ")[:2]
        self.headers, self.body = headers, body
        self.settings = dict(pair.split("=", 1) for pair in self.path.split("/")[1].split(";") if "=" in pair)
        self.key = headers.get("idempotency-key", "")


def head(code, size, **headers):
    lines = [f"HTTP/1.1 {code} Whatever", "Content-Type: application/json"]
    lines += [] if "Retry_After" in headers or code == 429 else ["Retry-After: 0"]  # so that tests need not wait
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [] if size is None else [f"Content-Length: {size}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def whole(code, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(code, len(data), **headers) + data


class Fault:
    """What a request gets: bytes to write, whether it is billed, and what then. Built by the functions of FAULTS out of (request, story)."""

    def __init__(self, data, billed=True, close=False, reset=False, hang=False, piece=None, pause=0.0, before=0.0):
        self.data, self.billed, self.close, self.reset, self.hang, self.piece, self.pause = data, billed, close, reset, hang, piece, pause
        self.before = before  # seconds until the first byte


def plain(code, body=b"", billed=False, **headers):
    return lambda request, story: Fault(whole(code, body, **headers), billed=billed)


def success(make):
    return lambda request, story: Fault(whole(200, make(story)))


def raw(make, **how):
    return lambda request, story: Fault(make(story), **how)


def good(story):
    return json.dumps(completion(story)).encode()


def echo(code):
    def fault(request, story):
        auth = request.headers.get("authorization", "")
        return Fault(whole(code, error(f"Incorrect API key provided: {auth} {auth[7:19]}... {auth[-14:]}") if code != 200 else completion(f"Your key: {auth}"),
                           X_Echo=auth), billed=code == 200)
    return fault


def escaped(value):
    """JSON that says the same in other bytes."""
    return json.dumps(value).replace("-", "\\u002d").replace("/", "\\/").encode()


def echo_escaped(code):
    def fault(request, story):
        auth = request.headers.get("authorization", "")
        return Fault(whole(code, escaped(completion(f"Your key: {auth}") if code == 200 else error(f"Incorrect API key provided: {auth}"))), billed=code == 200)
    return fault


def echo_stream(request, story):
    return Fault(head(200, None, content_type="text/event-stream", Connection="close") + events("Your key: " + request.headers.get("authorization", "")), close=True)


def echo_keys(request, story):
    """A reply that is none since it has a member twice, whose name is the key."""
    key = json.dumps(request.headers.get("authorization", "").partition(" ")[2])
    return Fault(whole(200, ("{" + f'{key}: 1, {key}: 2, '.replace("-", "\\u002d").replace("/", "\\/") + good(story).decode()[1:]).encode()))


def echo_finish(request, story):
    return Fault(whole(200, escaped(completion(story, finish=request.headers.get("authorization", "").partition(" ")[2][:20]))))


FAULTS = {
    "ok": success(completion),
    "nousage": success(lambda story: completion(story, usage=False)),
    # H01, H02, H03
    "429": plain(429, error("slow down", "requests", "rate_limit_exceeded"), Retry_After="0"),
    "429.1": plain(429, error("slow down"), Retry_After="0.1"),
    "429ms": plain(429, error("slow down"), Retry_After_Ms="50"),
    "429date": plain(429, error("slow down"), Retry_After="Sun, 06 Nov 1994 08:49:37 GMT"),
    "429bad": plain(429, error("slow down"), Retry_After="soon"),
    "429long": plain(429, error("slow down"), Retry_After="1000000000"),
    "quota": plain(429, error("You exceeded your current quota", "insufficient_quota", "insufficient_quota")),
    **{str(code): plain(code, error("it went wrong"), Retry_After="0") for code in (408, 409, 500, 502, 503, 504, 529)},
    **{str(code): plain(code, error("it will not do", "invalid_request_error")) for code in (400, 401, 402, 403, 404, 405, 413, 422)},
    "noretry": plain(503, error("never again"), x_should_retry="false"),
    "loading": plain(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, Retry_After="0"),
    # H04
    **{f"redirect{code}": plain(code, b"", Location=where) for code, where in
       ((301, "https://elsewhere.invalid/"), (302, "http://127.0.0.1:1/"), (307, "file:///etc/passwd"), (308, "/"))},
    # H05: what is unknown, and what is cut
    "reset": raw(lambda story: b"", reset=True),
    "resetunpaid": raw(lambda story: b"", reset=True, billed=False),
    "close": raw(lambda story: b"", close=True),
    "closehead": raw(lambda story: head(200, 500), close=True),
    "closebody": raw(lambda story: whole(200, completion(story))[:-30], close=True),
    "resetbody": raw(lambda story: whole(200, completion(story))[:-30], reset=True),
    "closenolength": raw(lambda story: head(200, None, Connection="close") + good(story)[:-30], close=True),
    "nolength": raw(lambda story: head(200, None, Connection="close") + good(story), close=True),
    "okreset": raw(lambda story: whole(200, completion(story)), reset=True),
    "silent": raw(lambda story: b"", hang=True),
    "late": lambda request, story: Fault(whole(200, completion(story)), before=7.5),
    "silenthead": raw(lambda story: head(200, 500), hang=True),
    "silentbody": raw(lambda story: whole(200, completion(story))[:-30], hang=True),
    # H06
    "drip": raw(lambda story: whole(200, completion(story)), piece=1, pause=0.5),
    "bytes": raw(lambda story: whole(200, completion(story)), piece=1),
    # H07
    "huge": raw(lambda story: head(200, None, Connection="close") + b" " * (17 << 20), close=True),
    "hugelength": raw(lambda story: head(200, 1 << 34) + b" " * 1000, close=True),
    "negative": raw(lambda story: head(200, None, Content_Length="-5") + good(story), close=True),
    "longlength": raw(lambda story: head(200, len(good(story)) + 50) + good(story), close=True),
    "shortlength": raw(lambda story: head(200, len(good(story)) - 10) + good(story), close=True),
    "twolengths": raw(lambda story: head(200, 10, Content_length=str(len(good(story)))) + good(story), close=True),
    "badchunks": raw(lambda story: head(200, None, Transfer_Encoding="chunked") + b"zz\r\n" + good(story) + b"\r\n0\r\n\r\n", close=True),
    "chunks": raw(lambda story: head(200, None, Transfer_Encoding="chunked") + b"".join(
        b"%x\r\n%s\r\n" % (len(good(story)[i:i + 9]), good(story)[i:i + 9]) for i in range(0, len(good(story)), 9)) + b"0\r\n\r\n"),
    "manyheaders": raw(lambda story: b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20000 + b"\r\n", close=True),
    "longheader": raw(lambda story: b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 90000 + b"\r\n\r\n", close=True),
    "nothttp": raw(lambda story: b"SSH-2.0-OpenSSH\r\n" * 4, close=True),
    # H08
    "gzip": raw(lambda story: head(200, None, Content_Encoding="gzip", Connection="close") + zlib.compress(b" " * (1 << 24)), close=True),
    # H09
    "html": raw(lambda story: whole(200, b"<html>Bad gateway</html>")),
    "empty": raw(lambda story: whole(200, b"")),
    "null": success(lambda story: completion(None)),
    "blank": success(lambda story: completion(" \n ")),
    "badutf8": raw(lambda story: whole(200, good("STORY").replace(b"STORY", b"\xff\xfe"))),
    "nul": success(lambda story: completion("a\0b")),
    "surrogate": raw(lambda story: whole(200, good("STORY").replace(b"STORY", b"\\ud800"))),
    "deep": raw(lambda story: whole(200, b"[" * 100000)),
    "digits": raw(lambda story: whole(200, b"9" * 100000)),
    "choices0": success(lambda story: {"choices": []}),
    "manychoices": raw(lambda story: whole(200, b'{"choices":[' + b"1," * 1000000 + b"1]}")),
    "two": raw(lambda story: whole(200, good(story) * 2)),
    "notext": success(lambda story: completion(...)),
    "numbertext": success(lambda story: completion(5)),
    "emptytext": success(lambda story: completion("")),
    "emptylength": success(lambda story: completion("", "length")),
    "twochoices": success(lambda story: completion(story, others=[choice("of another", "stop", index=1)])),
    "error200": raw(lambda story: whole(200, error("overloaded")), billed=False),
    # H10
    "stream": raw(lambda story: head(200, None, content_type="text/event-stream", Connection="close") + events(story), close=True),
    "streamcrlf": raw(lambda story: head(200, None, content_type="text/event-stream", Connection="close") + events(story, newline="\r\n"), close=True),
    "streambytes": raw(lambda story: head(200, None, content_type="text/event-stream", Connection="close") + events(story), close=True, piece=1),
    "streamtwice": raw(lambda story: head(200, None, content_type="text/event-stream", Connection="close") + twice(events(story)), close=True),
    "streamcut": raw(lambda story: head(200, None, content_type="text/event-stream", Connection="close") + events(story, None, False), close=True),
    "streamnumber": raw(lambda story: head(200, None, content_type="text/event-stream", Connection="close") + events([story[:5], 5, story[5:]]), close=True),
    "streamlength": raw(lambda story: head(200, None, content_type="text/event-stream", Connection="close") + events(story, "length"), close=True),
    "streamerror": raw(lambda story: head(200, None, content_type="text/event-stream", Connection="close") + events(story, None, False)
                       + f"data: {json.dumps(error('overloaded'))}\n\n".encode(), close=True),
    "streamnodone": raw(lambda story: head(200, None, content_type="text/event-stream", Connection="close") + events(story, done=False), close=True),
    # H11
    "refusal": success(lambda story: completion(None, refusal="I cannot tell that.")),
    "filter": success(lambda story: completion(story, "content_filter")),
    "filter400": plain(400, error("filtered", "invalid_request_error", "content_filter")),
    "same": success(lambda story: completion("Once there was a dog that had a house, and so they were happy.")),
    "wordless": success(lambda story: completion("Once there was a dog that had a house. It was very happy there, and so were they all.")),
    "german": success(lambda story: completion(story[:story.index(".")] + ". Es war einmal ein kleiner Hund, der war gut und lieb. " * 3)),
    "length": success(lambda story: completion(story[:20], "length")),
    "marker": success(lambda story: completion("<|endoftext|>\n" + story + "<|endoftext|>\nAnother")),
    "pieces": success(lambda story: completion("+++++\n" + "\n\n ++++++ \n+++\n".join(story.split("\n+++++\n")[:-1]))),  # the last one is missing
    "surplus": success(lambda story: completion(story + "\n+++++\nAnother.\n<|endoftext|>\nAnd another.")),
    "long": success(lambda story: completion("word " * 200000)),
    "hostile": success(lambda story: completion('"quotes"\n\u2028\u2029\x01\x1b[31m</script>{"event":"result"} ' + story)),
    # H17: a service that repeats the key
    "echo401": echo(401), "echo500": echo(500), "echo200": echo(200), "echostream": echo_stream, "echoescaped": echo_escaped(200), "echoescaped401": echo_escaped(401),
    "echokeys": echo_keys, "echofinish": echo_finish,
}
# Several replies before their headers say what counts (curl keeps Content-Type of the last one).
FAULTS["continue"] = lambda request, story: Fault(b"HTTP/1.1 100 Continue\r\n\r\n" + whole(200, completion(story)))


async def read_request(reader):
    line = (await reader.readuntil(b"\r\n")).decode("latin-1").strip()
    headers = {}
    while True:
        header = (await reader.readuntil(b"\r\n")).decode("latin-1").strip()
        if not header:
            break
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(line, headers, body)


def choose(request, ledger):
    """The fault of this attempt, and the story: a key that was billed gets its story whatever the script says, if the service honours keys."""
    script = request.settings.get("faults", "ok").split(",")
    attempt = ledger.attempts[request.key]
    ledger.attempts[request.key] += 1
    if request.settings.get("honour", "1") != "0" and ledger.bodies.setdefault(request.key, request.body) != request.body:
        return Fault(whole(422, error("Keys for idempotent requests can only be used with the same parameters they were first used with")))
    if RAW:
        return FAULTS[script[min(attempt, len(script) - 1)]](request, continued(json.loads(request.body)["prompt"], request))
    messages = json.loads(request.body)["messages"]
    asked = messages[0]["content"]
    if request.settings.get("schema") == "no" and "response_format" in json.loads(request.body):
        return FAULTS["400"](request, "")
    text = (grades_of(messages, request, ledger) if len(messages) == 3 else verdict_of(asked, request, ledger) if "Answer with one word" in asked else
            written_out(asked, request) if "first the beginning, word for word" in asked else story_of(asked))
    if "wordless" in request.settings and number_of("wordless " + asked, 100) < float(request.settings["wordless"]):
        ledger.conversations[asked] += 1
        if ledger.conversations[asked] == 1:
            text = re.sub(r"There was a story of [^.]*\.", "There was a story of nothing at all.", text, count=1)
    if number_of("cut " + asked, 100) < float(request.settings.get("unusable", 0)):
        return FAULTS["length"](request, text)
    return FAULTS[script[min(attempt, len(script) - 1)]](request, text)


def run_batch(request, ledger, batch, how):
    """Does the work of a batch: its output and error files, in no order."""
    lines = [json.loads(line) for line in ledger.files[batch["input_file_id"]].splitlines()]
    assert len({line["custom_id"] for line in lines}) == len(lines), "a custom_id is there twice"
    done, undone = lines[::2] if how == "half" else lines, lines[1::2] if how == "half" else []
    if how in ("failed", "bad"):
        done, undone = [], lines
    output, errors = [], []
    for line in done:
        ledger.billed[line["custom_id"]] += 1
        story = story_of(line["body"]["messages"][0]["content"])
        if how in ("echo", "escaped"):
            story += request.headers.get("authorization", "")
        output.append(json.dumps({"id": "b", "custom_id": line["custom_id"], "response": {"status_code": 200, "request_id": "r", "body": completion(story)},
                                  "error": None}))
        if how == "escaped":
            output[-1] = output[-1].replace("/", "\\/").replace("SENTINEL-", "SENTINEL\\u002d")
    for line in undone:
        response = {"status_code": 500, "request_id": "r", "body": error("it went wrong")} if how == "bad" else None
        errors.append(json.dumps({"id": "b", "custom_id": line["custom_id"], "response": response, "error": {"code": "batch_expired", "message": "too late"}}))
    batch["request_counts"] = {"total": len(lines), "completed": len(done), "failed": 0}
    batch["status"] = {"half": "expired", "failed": "failed"}.get(how, "completed")
    for kind, written in (("output", output), ("error", errors if how != "failed" else [])):
        if written:
            written.sort(key=lambda line: hashlib.sha256(line.encode()).digest())
            batch[kind + "_file_id"] = f"file-{kind}-{batch['id']}"
            ledger.files[batch[kind + "_file_id"]] = "\n".join(written) + ("\n" if len(written) % 2 else "")


def batch_request(request, ledger, path):
    """The files and batches endpoints."""
    def scripted(number):
        script = request.settings.get("batches", "ok").split(",")
        return script[min(number, len(script) - 1)]
    if (request.method, path) == ("POST", "files"):
        boundary = re.search(r"boundary=(\S+)", request.headers["content-type"]).group(1)
        parts = [part.partition(b"\r\n\r\n") for part in request.body.split(b"--" + boundary.encode())]
        purpose = [body.strip() for head, _, body in parts if b'name="purpose"' in head]
        assert purpose == [b"batch"], purpose
        name = f"file-{len(ledger.files)}"
        ledger.files[name] = next(body for head, _, body in parts if b'name="file"' in head).decode().strip()
        return Fault(whole(200, {"id": name, "object": "file", "purpose": "batch"}))
    if (request.method, path) == ("POST", "batches"):
        wanted = json.loads(request.body)
        batch = {"id": f"batch_{len(ledger.batches)}", "object": "batch", "status": "validating", "polls": int(request.settings.get("polls", 0)),
                 "input_file_id": wanted["input_file_id"], "output_file_id": None, "error_file_id": None, "metadata": wanted["metadata"]}
        how = scripted(len(ledger.batches))
        ledger.batches.append(batch)
        return Fault(b"", reset=True) if how == "lost" else Fault(whole(200, batch))
    if request.method == "GET" and path.startswith("batches"):
        for number, batch in enumerate(ledger.batches):
            batch["polls"] -= 1
            if batch["polls"] < 0 and batch["status"] == "validating":
                run_batch(request, ledger, batch, scripted(number))
        query = dict(pair.split("=") for pair in path.partition("?")[2].split("&"))
        newest = ledger.batches[::-1] + [{"id": "batch_other", "metadata": None, "status": "completed"}]
        start = next((i + 1 for i, batch in enumerate(newest) if batch["id"] == query.get("after")), 0)
        return Fault(whole(200, {"object": "list", "data": newest[start:start + 2], "has_more": start + 2 < len(newest)}))
    match = re.fullmatch(r"files/([^/]+)/content", path)
    if request.method == "GET" and match and match.group(1) in ledger.files:
        return Fault(whole(200, ledger.files[match.group(1)].encode()))
    return Fault(whole(404, error("no such thing")))


async def answer(request, writer):
    """Answers one request; False closes the connection."""
    if request.path.startswith("/ledger/"):
        writer.write(whole(200, LEDGERS[request.path[8:]].report()))
        return True
    ledger = LEDGERS[request.settings.get("ledger", "main")]
    ledger.requests += 1
    ledger.authorized[request.headers.get("authorization", "")] += 1
    ledger.in_flight += 1
    ledger.most_in_flight = max(ledger.most_in_flight, ledger.in_flight)
    try:
        return await misbehave(request, ledger, writer)
    finally:
        ledger.in_flight -= 1


async def misbehave(request, ledger, writer):
    path = request.path.split("/", 2)[2]
    global RAW
    RAW = path.endswith("completions") and not path.endswith("chat/completions")
    if not path.endswith("completions"):
        fault = batch_request(request, ledger, path)
        fault.billed = False
    else:
        fault = choose(request, ledger)
    if ledger.in_flight > int(request.settings.get("limit", 1 << 30)):
        fault = FAULTS["429"](request, "")
    if fault.billed and (request.settings.get("honour", "1") == "0" or not ledger.billed[request.key]):
        ledger.billed[request.key] += 1  # before the reply: it has been done
    await asyncio.sleep(float(request.settings.get("delay", 0)) + fault.before)
    if fault.reset:
        writer.write(fault.data)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    for i in range(0, len(fault.data), fault.piece or len(fault.data) or 1):
        writer.write(fault.data[i:i + (fault.piece or len(fault.data))])
        await writer.drain()
        await asyncio.sleep(fault.pause)
    if fault.hang:
        await asyncio.sleep(3600)
    return not fault.close


async def serve(reader, writer):
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while await answer(await read_request(reader), writer):
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def make_context(arguments):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments[1], arguments[2])
    context.options |= ssl.OP_NO_TICKET  # no session is resumed, which would show no certificate
    context.num_tickets = 0
    if len(arguments) > 3:
        warnings.simplefilter("ignore", DeprecationWarning)  # that is what it is wanted for
        context.maximum_version = ssl.TLSVersion[arguments[3]]
    return context


async def main(arguments):
    context = None
    if arguments and arguments[0] == "--tls":
        context = make_context(arguments)
        context.sni_callback = lambda connection, name, before: setattr(connection, "context", make_context(arguments))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    event_loop = asyncio.new_event_loop()
    event_loop.set_exception_handler(lambda loop, context: None)
    event_loop.run_until_complete(main(sys.argv[1:]))
    os._exit(0)  # without waiting for what hangs

"""What a client did and saw: each call's outcome, in a JSON list on stdout.

The gateway's address, the virtual key and how to move the gateway's clock come in the environment;
the command line is `CASE OPTIONS`, the options in JSON: `model`, `times`, `max_retries`,
`include_usage`.
"""

import base64
import json
import os
import sys
import time
import urllib.request

GATEWAY = os.environ["GATEWAY"]
KEY = os.environ.get("KEY")
OPTIONS = json.loads(sys.argv[2])
MODEL = OPTIONS.get("model", "mock-1")

_retry_counts = []  # what each request said about being a retry
_told = []  # the Retry-After of each answer that had one
_waits = []  # how long the client chose to wait before each retry
_pieces = []  # the text of a stream, as far as it came


def hooks():
    """For the client's HTTP client: counts what goes over the wire, whatever the client says."""

    def request(request):
        _retry_counts.append(request.headers.get("x-stainless-retry-count"))

    def response(response):
        if "retry-after" in response.headers:
            _told.append(int(response.headers["retry-after"]))

    return {"request": [request], "response": [response]}


def options():
    """What every client is made with; `max_retries` is left to the client unless it is an option."""
    chosen = {"max_retries": OPTIONS["max_retries"]} if "max_retries" in OPTIONS else {}
    return {"timeout": 20, **chosen}


def piece(text):
    """Notes a part of a stream's text when it comes, for the stream may not reach its end."""
    _pieces.append(text)


def _sleep(seconds):
    """In place of `time.sleep`, by which the clients wait: nobody waits, but a clock may move."""
    _waits.append(int(seconds) if seconds == int(seconds) else seconds)
    if "CLOCK" not in os.environ:
        return
    credentials = base64.b64encode(os.environ["CLOCK"].encode()).decode()
    advance = urllib.request.Request(
        GATEWAY + "/api/test/clock",
        data=json.dumps({"advance": f"{round(seconds * 1000)}ms"}).encode(),
        headers={"authorization": f"Basic {credentials}", "content-type": "application/json"},
    )
    urllib.request.urlopen(advance, timeout=10).close()


def _outcome(case):
    for log in (_retry_counts, _told, _waits, _pieces):
        log.clear()
    try:
        outcome = {"returned": case()}
    except Exception as error:  # whatever it is: the test says what it must be
        outcome = {
            "raised": type(error).__name__,
            "kinds": [kind.__name__ for kind in type(error).__mro__],
            "status": getattr(error, "status_code", None),
            "body": getattr(error, "body", None),
            "message": str(error),
        }
    wire = {"requests": list(_retry_counts), "told": list(_told), "waits": list(_waits)}
    return {**outcome, **wire, "text": "".join(_pieces)}


def run(cases):
    """Runs the case that the command line names, as often as it says."""
    time.sleep = _sleep
    case = {case.__name__: case for case in cases}[sys.argv[1]]
    print(json.dumps([_outcome(case) for _ in range(OPTIONS.get("times", 1))]))

"""A Celery client in Python that is told over stdin what to send, one JSON a line, and answers so over stdout."""
import json
import sys

from celery import chain
from celery.result import AsyncResult
from tasks import app

sent = {}


def signature(spec):
    return app.signature(
        spec["name"],
        args=spec.get("args", []),
        kwargs=spec.get("kwargs", {}),
        options=spec.get("options", {}),
        immutable=spec.get("immutable", False),
    )


def send(command):
    options = dict(command.get("options", {}))
    for link in ("link", "link_error"):
        if link in options:
            options[link] = signature(options[link])
    result = app.send_task(
        command["name"], args=command.get("args", []), kwargs=command.get("kwargs", {}), **options
    )
    sent[result.id] = result
    return {"id": result.id}


def send_chain(command):
    result = chain(*[signature(spec) for spec in command["tasks"]]).apply_async()
    sent[result.id] = result
    return {"id": result.id}


def get(command):
    result = sent.get(command["id"]) or AsyncResult(command["id"], app=app)
    try:
        value = result.get(timeout=command.get("timeout", 60))
        return {"state": result.state, "value": value}
    except Exception as error:
        return {
            "state": result.state,
            "error": type(error).__name__,
            "module": type(error).__module__,
            "args": [str(part) for part in error.args],
            "traceback": result.traceback,
        }


commands = {"send": send, "chain": send_chain, "get": get}
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    print(json.dumps(commands[command["do"]](command)), flush=True)

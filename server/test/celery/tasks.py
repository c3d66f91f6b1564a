"""Tasks of a Celery worker in Python, for tests of both ways."""
import os
import time

from celery import Celery

app = Celery("peer", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    task_queues=None,
    broker_transport_options={"visibility_timeout": int(os.environ.get("VISIBILITY_TIMEOUT", "3600"))},
)

if os.environ["BROKER"].startswith("amqp"):
    # The event loop of `-P solo` may sleep up to ten seconds before it sends an acknowledgement, without which no next task comes.
    app.Worker.should_use_eventloop = lambda worker: False


@app.task(name="py.add")
def add(x, y, scale=1):
    return (x + y) * scale


@app.task(name="py.now")
def now():
    return time.time()


@app.task(name="py.wait_for")
def wait_for(path):
    with open(f"{path}.begun", "a") as file:
        file.write("begun\n")
    while not os.path.exists(path):
        time.sleep(0.02)
    with open(f"{path}.begun") as file:
        return len(file.readlines())


@app.task(name="py.fail")
def fail(message):
    raise ValueError(message, 42)


@app.task(name="py.flaky", bind=True, max_retries=3)
def flaky(self):
    if self.request.retries < 2:
        raise self.retry(exc=RuntimeError("not yet"), countdown=0.1)
    return self.request.retries


@app.task(name="py.about", bind=True)
def about(self):
    request = self.request
    return {
        "id": request.id,
        "root_id": request.root_id,
        "origin": request.origin,
        "argsrepr": request.argsrepr,
        "correlation_id": request.correlation_id,
    }


@app.task(name="chatsphere.job_ended")
def job_ended(**news):
    with open(os.environ["NEWS_FILE"], "a") as file:
        file.write(f"{news['job_id']} {news['state']}\n")

"""The first application: a handler, and a message for it. No RabbitMQ needed.

`memory://` is a broker within this program. Put the address of a RabbitMQ into AMQP_URL to use that.
"""

import os
from dataclasses import dataclass

from hopmq.app import App

app = App(os.environ.get("AMQP_URL", "memory://hello"))


@dataclass
class Greeting:
    """What is said to whom. The body of the message is this as JSON."""

    text: str
    name: str


# The queue is declared when the application starts. The annotation says what the body is read as;
# the message is acknowledged when the handler has ended.
@app.consumer("hopmq.example.greetings")
async def greet(greeting: Greeting) -> None:
    """Say it."""
    print(f"{greeting.text}, {greeting.name}!")


# Called when the application has connected and declared what it needs.
@app.on_startup
async def send() -> None:
    """Send the first message."""
    await app.publish(Greeting("Hello", "world"), routing_key="hopmq.example.greetings")


app.run()  # until Ctrl-C, or a SIGTERM

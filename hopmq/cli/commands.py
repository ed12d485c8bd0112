"""The commands with their options, and how each kind of failure is told."""

import logging
import sys
from collections.abc import Sequence
from typing import Final

import click

from hopmq._version import __version__
from hopmq.cli import demo
from hopmq.cli.broker_command import broker_command
from hopmq.errors import HopMQError

_FAILED: Final = 1
_INTERRUPTED: Final = 130
"""What shells report for a program that Ctrl-C ended: 128 + SIGINT."""
_MEBIBYTE: Final = 1024 * 1024


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(__version__, message="hopmq %(version)s")
def commands() -> None:
    """HopMQ, an async RabbitMQ client for Python."""


@commands.command(name="demo")
@click.option(
    "--url",
    envvar="AMQP_URL",
    metavar="URL",
    help="Broker to use; by default AMQP_URL, then an embedded broker in a process of its own.",
)
@click.option(
    "--rabbitmq",
    is_flag=True,
    help="Start the RabbitMQ that is installed on this machine, and use that.",
)
@click.option(
    "--messages",
    type=click.IntRange(1, 10_000_000),
    default=20_000,
    show_default=True,
    help="How many messages to send.",
)
@click.option(
    "--size",
    type=click.IntRange(demo.SMALLEST_BODY, 16 * _MEBIBYTE),
    default=100,
    show_default=True,
    help="Bytes of each message body.",
)
def demo_command(url: str | None, rabbitmq: bool, messages: int, size: int) -> int:
    """Publish with confirms while consuming, and count what arrives.

    Every message carries its number. The status is 0 only when each was confirmed and
    consumed exactly once.
    """
    source = click.get_current_context().get_parameter_source("url")
    if rabbitmq and source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--url and --rabbitmq exclude each other.")
    return demo.run(url or None, messages, size, rabbitmq=rabbitmq)


commands.add_command(broker_command)


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line; every failure is one sentence on the standard error."""
    # What goes wrong is told below, once.
    logging.getLogger("hopmq").addHandler(logging.NullHandler())
    try:
        words = None if arguments is None else list(arguments)
        # The status of a command, or 0 from --help and --version.
        status: int = commands.main(words, prog_name="hopmq", standalone_mode=False)
    except click.exceptions.Abort:
        return _fail("interrupted", _INTERRUPTED)
    except click.ClickException as error:
        return _fail(f"{error.format_message()} See: {_command_of(error)} --help")
    except (HopMQError, OSError) as error:
        return _fail(str(error))
    return status


def _command_of(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if isinstance(context, click.Context) else "hopmq"


def _fail(sentence: str, status: int = _FAILED) -> int:
    print(f"hopmq: {sentence}", file=sys.stderr)
    return status

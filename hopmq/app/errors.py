"""What goes wrong in applications.

HopMQError
├── UsageError
│   └── DeclarationError
├── PayloadError
├── DeliveryLimitError
└── CallError
    ├── CallNotSentError
    ├── CallTimeoutError (also TimeoutError)
    ├── CallUnknownError
    ├── NoEndpointError
    └── RemoteError
"""

from hopmq.errors import HopMQError, UsageError


class DeclarationError(UsageError):
    """A consumer, an endpoint or a dependency cannot work as it is declared; known at start."""


class PayloadError(HopMQError):
    """A body that cannot be read as what a handler wants: wrong type, form, encoding or size."""


class DeliveryLimitError(HopMQError):
    """Workers died so often with a message in hand that the broker would drop it at the next time."""


class CallError(HopMQError):
    """A call of an endpoint did not bring a result."""


class CallNotSentError(CallError):
    """The request never left this process: calling again is safe."""


class CallTimeoutError(CallError, TimeoutError):
    """No answer came in time; the endpoint may have worked all the same."""


class CallUnknownError(CallError):
    """The link was lost after the request was sent: whether the endpoint worked is not known."""


class NoEndpointError(CallError):
    """Nobody serves the endpoint: its queue or exchange does not exist, or no binding matches."""


class RemoteError(CallError):
    """The endpoint failed, and says how.

    Attributes:
        code: What kind of failure, for programs; the name of the exception unless it was
            registered under another.
        message: What it says, for people.
    """

    def __init__(self, code: str, message: str) -> None:
        """Carry what the endpoint answered."""
        super().__init__(f"{code}: {message}" if message else code)
        self.code: str = code
        self.message: str = message

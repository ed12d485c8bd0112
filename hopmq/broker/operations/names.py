"""Names of queues and exchanges, as methods bring them."""


def stripped(name: str) -> str:
    """Drop line breaks, as RabbitMQ does in the names that it keeps."""
    return name.replace("\r", "").replace("\n", "")

"""What an error says, in a form that can be sent, whatever it was made of."""


def text_of(error: BaseException) -> str:
    """Return the text of an error; some cannot even be shown, and that is no reason to fail."""
    try:
        return sendable(str(error))
    except Exception:  # the user's class, or somebody else's
        return f"({type(error).__qualname__} cannot be shown)"


def sendable(text: str) -> str:
    """Return text as UTF-8 can hold it: names of files may have bytes that are no characters."""
    return text.encode("utf-8", "backslashreplace").decode()

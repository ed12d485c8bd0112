"""Calls of endpoints: requests that are answered, over direct reply-to."""

from hopmq.app.rpc.answers import answer, answer_error
from hopmq.app.rpc.client import RpcClient
from hopmq.app.rpc.deadlines import deadline_of, is_overdue
from hopmq.app.rpc.remote_errors import RemoteErrors

__all__ = ["RemoteErrors", "RpcClient", "answer", "answer_error", "deadline_of", "is_overdue"]

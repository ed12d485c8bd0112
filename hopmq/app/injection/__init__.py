"""Injection: handlers are given what their parameters say, found out once at start."""

from hopmq.app.injection.app_scope import AppScope
from hopmq.app.injection.handler import Handler, compile_handler
from hopmq.app.injection.markers import Depends, Header, Headers

__all__ = ["AppScope", "Depends", "Handler", "Header", "Headers", "compile_handler"]

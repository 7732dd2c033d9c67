"""Signing in with GitHub, where the operator has configured it."""

from basewarden.accounts.github.client import GitHubClient
from basewarden.accounts.github.service import GitHub

__all__ = ["GitHub", "GitHubClient"]

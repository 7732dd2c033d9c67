"""Signing in with GitHub: for whoever the operator has set it up."""

from basewarden.accounts.github.client import GitHubClient
from basewarden.accounts.github.service import GitHub

__all__ = ["GitHub", "GitHubClient"]

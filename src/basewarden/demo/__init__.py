"""The demo: a shop to play with, and the story of a disaster undone."""

from basewarden.demo.stage import Stage, set_stage
from basewarden.demo.story import StoryError, tell_story

__all__ = ["Stage", "StoryError", "set_stage", "tell_story"]

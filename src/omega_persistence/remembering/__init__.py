"""Remembering: a memory, its vector and its words, written as one."""

from omega_persistence.remembering.remembering import Remembering

__all__ = ["Remembering"]

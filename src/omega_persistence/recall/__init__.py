"""Recall: the memories that answer a question, by their words, their vectors and their place."""

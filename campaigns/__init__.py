"""Campaigns that try to break a store: see `python -m campaigns.run --help`."""

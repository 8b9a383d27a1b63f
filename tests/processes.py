"""Processes for tests, forked from a server that has imported what they need."""

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
# Packages that are installed: the server does not see pytest's paths, and passes over a module that it cannot import.
PROCESSES.set_forkserver_preload(["giftlib.polling", "giftlib.sandbox"])

"""Settings and hooks that few projects set."""

"""All log lines of the engine: code emits signals, this file words them."""

"""The leader: the only sender to Redis, and the one that puts right what others left behind."""
